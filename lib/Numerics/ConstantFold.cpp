// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a block's constants come to before any row is seen, in f64.
#include "sparse-opt/Numerics/Thresholds.h"
#include <algorithm>

using namespace sparse_opt::numerics;

ConstantFold sparse_opt::numerics::foldConstant(const BlockWeights &block,
                                                const VectorRef &centres) {
  using MatrixD =
      Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  constexpr long tile = 256; // neurons at a time: copies in f64 stay small
  const long h = block.down.rows(), out = block.down.cols();
  Eigen::VectorXd offset = Eigen::VectorXd::Zero(out);
  if (block.downBias.size())
    offset = block.downBias.cast<double>();
  const bool hasFolded = block.gated() && centres.size();
  MatrixD folded = MatrixD::Zero(hasFolded ? block.up.rows() : 0, out);
  for (long begin = 0; centres.size() && begin < h; begin += tile) {
    long count = std::min(tile, h - begin);
    Eigen::VectorXd c = centres.segment(begin, count).cast<double>();
    MatrixD down = block.down.middleRows(begin, count).cast<double>();
    if (hasFolded) {
      MatrixD up = block.up.middleCols(begin, count).cast<double>();
      folded.noalias() += up * (c.asDiagonal() * down);
    }
    if (!block.gated())
      offset.noalias() += down.transpose() * c;
    else if (block.upBias.size())
      offset.noalias() +=
          down.transpose() *
          c.cwiseProduct(block.upBias.segment(begin, count).cast<double>());
  }
  return {folded.cast<float>(), offset.cast<float>()};
}
