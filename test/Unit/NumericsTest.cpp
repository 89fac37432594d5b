// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The mathematics of thresholds against loops over the published definitions,
// and cases small enough to work out by hand.
#include "sparse-opt/Numerics/InputThresholds.h"
#include "sparse-opt/Numerics/Thresholds.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <vector>

using namespace sparse_opt::numerics;

namespace {
/// Owns what BlockWeights looks at.
struct TestBlock {
  Matrix gate, up, down;
  Vector gateBias, upBias, downBias;
  Activation activation = Activation::Relu;
  Activation upActivation = Activation::Identity;

  BlockWeights view() const {
    auto matrix = [](const Matrix &m) {
      return MatrixView(m.data(), m.rows(), m.cols());
    };
    auto vector = [](const Vector &v) {
      return VectorView(v.data(), v.size());
    };
    return {activation,
            upActivation,
            matrix(gate),
            vector(gateBias),
            matrix(up),
            vector(upBias),
            matrix(down),
            vector(downBias),
            /*cutoff=*/std::nullopt};
  }
};

std::mt19937 generator;

Matrix randomMatrix(long rows, long columns) {
  std::normal_distribution<float> normal;
  Matrix m(rows, columns);
  for (long i = 0; i < m.size(); ++i)
    m.data()[i] = normal(generator);
  return m;
}

TestBlock randomBlock(bool gated, Activation activation) {
  TestBlock block;
  block.activation = activation;
  if (gated) {
    block.gate = randomMatrix(7, 21);
    block.gateBias = randomMatrix(21, 1);
  }
  block.up = randomMatrix(7, 21);
  block.upBias = randomMatrix(21, 1);
  block.down = randomMatrix(21, 5);
  block.downBias = randomMatrix(5, 1);
  return block;
}

/// act(x w_i + b_i) by a loop in f64.
double neuron(const Matrix &x, long row, const Matrix &w, const Vector &b,
              long i, Activation activation) {
  double z = b.size() ? b[i] : 0;
  for (long k = 0; k < x.cols(); ++k)
    z += double(x(row, k)) * w(k, i);
  return activate(activation, float(z));
}
} // namespace

TEST(Numerics, ActivationsAreThePublishedOnes) {
  EXPECT_EQ(activate(Activation::Relu, -2), 0);
  EXPECT_EQ(activate(Activation::Relu, 0.01f, 0.01f), 0);
  EXPECT_EQ(activate(Activation::Relu, 0.02f, 0.01f), 0.02f);
  EXPECT_EQ(activate(Activation::Relu2, 3), 9);
  EXPECT_NEAR(activate(Activation::Silu, 1), 0.731059, 1e-6);
  EXPECT_NEAR(activate(Activation::Gelu, 1), 0.841345, 1e-6);
  EXPECT_NEAR(activate(Activation::GeluTanh, 1), 0.841192, 1e-6);
  EXPECT_NEAR(activate(Activation::QuickGelu, 1), 0.845796, 1e-6);
  EXPECT_EQ(activate(Activation::Silu, -200), 0);
}

TEST(Numerics, BlocksAreWhatLoopsCompute) {
  for (bool gated : {false, true}) {
    TestBlock block = randomBlock(gated, Activation::Gelu);
    block.upActivation = gated ? Activation::Relu : Activation::Identity;
    Matrix x = randomMatrix(9, 7);
    Neurons neurons = evaluate(block.view(), x);
    Matrix products = neurons.act;
    if (gated)
      products.array() *= neurons.up.array();
    Matrix y = outputs(block.view(), products);
    for (long row = 0; row < 9; ++row)
      for (long j = 0; j < 5; ++j) {
        double expected = block.downBias[j];
        for (long i = 0; i < 21; ++i) {
          double up = neuron(x, row, block.up, block.upBias, i,
                             gated ? Activation::Relu : Activation::Gelu);
          double gate = gated ? neuron(x, row, block.gate, block.gateBias, i,
                                       Activation::Gelu)
                              : 1;
          expected += gate * up * block.down(i, j);
        }
        EXPECT_NEAR(y(row, j), expected, 1e-4);
      }
  }
}

TEST(Numerics, CentresByHand) {
  Matrix act(4, 2);
  act << 1, 0, 2, 0, 10, 5, 3, 7;
  Vector median = centresOf(act, Centre::Median);
  EXPECT_EQ(median[0], 2.5f);
  EXPECT_EQ(median[1], 2.5f);
  Vector mean = centresOf(act, Centre::Mean);
  EXPECT_EQ(mean[0], 4);
  EXPECT_EQ(mean[1], 3);
  Vector mode = centresOf(act, Centre::Mode);
  EXPECT_EQ(mode[1], 0); // half of the rows share it
}

TEST(Numerics, ModeIsThePeakOfTheDensity) {
  // Two heaps: most around -0.2, and a wide one around 2.
  std::normal_distribution<float> narrow(-0.2f, 0.05f), wide(2, 1);
  Matrix act(2000, 1);
  for (long row = 0; row < act.rows(); ++row)
    act(row, 0) = row % 5 < 2 ? narrow(generator) : wide(generator);
  EXPECT_NEAR(centresOf(act, Centre::Mode)[0], -0.2, 0.1);
  EXPECT_GT(centresOf(act, Centre::Mean)[0], 0.8);
  EXPECT_EQ(centresOf(Matrix::Constant(9, 1, 0.5f), Centre::Mode)[0], 0.5f);
}

TEST(Numerics, ScoresAreThePublishedOnes) {
  TestBlock block = randomBlock(/*gated=*/true, Activation::Silu);
  Matrix x = randomMatrix(6, 7);
  Neurons neurons = evaluate(block.view(), x);
  Vector norms = downNorms(block.view());
  Vector centres = centresOf(neurons.act, Centre::Median);
  Matrix cats = scoresOf(neurons, {});
  Matrix cett = scoresOf(neurons, {{}, norms, true});
  Matrix centred = scoresOf(neurons, {centres, norms, true});
  for (long row = 0; row < 6; ++row)
    for (long i = 0; i < 21; ++i) {
      double norm = 0;
      for (long j = 0; j < 5; ++j)
        norm += double(block.down(i, j)) * block.down(i, j);
      double g = neurons.act(row, i), u = neurons.up(row, i);
      EXPECT_FLOAT_EQ(cats(row, i), std::abs(g));
      EXPECT_NEAR(cett(row, i), std::abs(g * u) * std::sqrt(norm), 1e-5);
      EXPECT_NEAR(centred(row, i),
                  std::abs((g - centres[i]) * u) * std::sqrt(norm), 1e-5);
    }
}

/// Three neurons with the outputs 1, 10 and 100 times their act.
static TestBlock byHand() {
  TestBlock block;
  block.up = Matrix::Identity(3, 3);
  block.down.resize(3, 1);
  block.down << 1, 10, 100;
  return block;
}

TEST(Numerics, KeptIsStrictlyGreater) {
  TestBlock block = byHand();
  Matrix x(2, 3);
  x << 1, 2, 3, 2, 2, -1; // the last is 0 after relu
  BlockWeights view = block.view();
  Skipping skipping(view, evaluate(view, x), {}, Matrix());
  EXPECT_DOUBLE_EQ(skipping.densityAt(0), 5.0 / 6);
  EXPECT_DOUBLE_EQ(skipping.densityAt(1), 4.0 / 6);
  EXPECT_DOUBLE_EQ(skipping.densityAt(2), 1.0 / 6); // three ties, all dropped
  EXPECT_EQ(skipping.keptAt(1), (std::vector<uint64_t>{1, 2, 1}));
  EXPECT_EQ(skipping.thresholdForDensity(1), 0);
  EXPECT_EQ(skipping.thresholdForDensity(4.0 / 6), 1);
  EXPECT_EQ(skipping.thresholdForDensity(3.0 / 6), 2); // never more than asked
  EXPECT_EQ(skipping.thresholdForDensity(1.0 / 6), 2);
  EXPECT_EQ(skipping.thresholdForDensity(0), 3);
}

TEST(Numerics, CettByHand) {
  TestBlock block = byHand();
  Matrix x(2, 3), residual(2, 1);
  x << 1, 2, 3, 2, 2, 0; // y = 321 and 22
  residual << 100, 0;
  BlockWeights view = block.view();
  Skipping skipping(view, evaluate(view, x), {}, residual);
  SkipEffect effect = skipping.at(1.5f); // loses 1 of 321, nothing of 22
  EXPECT_NEAR(effect.cett, 1.0 / 321 / 2, 1e-9);
  EXPECT_NEAR(*effect.withResidual, 1.0 / 421 / 2, 1e-9);
  effect = skipping.at(2); // 21 of 321, all of 22
  EXPECT_NEAR(effect.cett, (21.0 / 321 + 1) / 2, 1e-9);
  // Nothing is lost at 0, and all at the largest score.
  EXPECT_EQ(skipping.at(0).cett, 0);
  EXPECT_EQ(skipping.at(3).cett, 1);
  EXPECT_EQ(skipping.thresholdForCett(0.01), 1);
  EXPECT_EQ(skipping.thresholdForCett(1), 3);
  EXPECT_EQ(skipping.thresholdForCett(0), 0);
  // In two steps of density there is only half, which costs too much.
  EXPECT_EQ(skipping.thresholdForCett(0.01, 512, /*steps=*/2), 0);
  EXPECT_FALSE(effect.afterNorm);
}

TEST(Numerics, ErrorsGoThroughWhatReadsTheSum) {
  TestBlock block = byHand();
  Matrix x(2, 3), residual(2, 1);
  x << 1, 2, 3, 2, 2, 0; // y = 321 and 22
  residual << 100, 0;
  BlockWeights view = block.view();
  auto square = [](const MatrixRef &sum) -> Matrix { return sum.cwiseAbs2(); };
  Skipping added(view, evaluate(view, x), {}, residual, square);
  double lost = (421.0 * 421 - 420.0 * 420) / (421.0 * 421);
  EXPECT_NEAR(*added.at(1.5f).afterNorm, lost / 2, 1e-6);
  EXPECT_EQ(*added.at(0).afterNorm, 0);
  Skipping alone(view, evaluate(view, x), {}, Matrix(), square);
  lost = (321.0 * 321 - 320.0 * 320) / (321.0 * 321);
  EXPECT_NEAR(*alone.at(1.5f).afterNorm, lost / 2, 1e-6);
  // 22 - 22 is 0, which this has no number for.
  auto invert = [](const MatrixRef &sum) -> Matrix {
    return sum.cwiseInverse();
  };
  Skipping inverted(view, evaluate(view, x), {}, Matrix(), invert);
  EXPECT_TRUE(inverted.at(1.5f).afterNorm);
  EXPECT_FALSE(inverted.at(2).afterNorm);
}

TEST(Numerics, WhatIsLostIsTheDifferenceToTheBlock) {
  for (bool gated : {false, true}) {
    TestBlock block = randomBlock(gated, Activation::Silu);
    BlockWeights view = block.view();
    Matrix x = randomMatrix(300, 7);
    Neurons neurons = evaluate(view, x);
    ScoreRule rule{centresOf(neurons.act, Centre::Median), downNorms(view),
                   gated};
    Matrix scores = scoresOf(neurons, rule);
    Skipping skipping(view, neurons, rule, Matrix());
    ConstantFold fold = foldConstant(view, rule.minus);
    EXPECT_EQ(fold.folded.size(), gated ? 7 * 5 : 0);
    Matrix products = neurons.act;
    if (gated)
      products.array() *= neurons.up.array();
    Matrix y = outputs(view, products);
    for (double density : {1.0, 0.5, 0.1}) {
      float t = skipping.thresholdForDensity(density);
      double cett = 0;
      for (long row = 0; row < x.rows(); ++row) {
        // y = x C + B + sum over kept of (act - c) u down, as compiled.
        Eigen::RowVectorXd sparse = fold.offset.cast<double>().transpose();
        if (gated)
          sparse += x.row(row).cast<double>() * fold.folded.cast<double>();
        for (long i = 0; i < 21; ++i)
          if (scores(row, i) > t)
            sparse += double(neurons.act(row, i) - rule.minus[i]) *
                      (gated ? neurons.up(row, i) : 1) *
                      block.down.row(i).cast<double>();
        cett += (sparse - y.row(row).cast<double>()).norm() /
                y.row(row).cast<double>().norm() / double(x.rows());
      }
      EXPECT_NEAR(skipping.at(t).cett, cett, 1e-5 + 1e-5 * cett);
      EXPECT_NEAR(skipping.densityAt(t), density, 1e-3);
    }
    double cett = 0.2;
    float t = skipping.thresholdForCett(cett);
    EXPECT_LE(skipping.at(t).cett, cett);
    EXPECT_GT(skipping.at(t * 1.05f).cett, cett);
  }
}

TEST(Numerics, ConstantsFoldWithoutCentresToTheBias) {
  TestBlock block = randomBlock(/*gated=*/true, Activation::Silu);
  ConstantFold fold = foldConstant(block.view(), Vector());
  EXPECT_EQ(fold.folded.size(), 0);
  EXPECT_EQ(fold.offset, block.downBias);
}

TEST(Numerics, InfinityIsSeen) {
  TestBlock block = byHand();
  Matrix x = Matrix::Constant(1, 3, 3e38f);
  BlockWeights view = block.view();
  EXPECT_FALSE(Skipping(view, evaluate(view, x), {}, Matrix()).isFinite());
}

TEST(Numerics, InputsByHand) {
  TestBlock block = byHand();
  Matrix x(2, 3), residual(2, 1);
  x << 1, 2, 3, 2, -2, 4; // y = 321 and 402
  residual << 100, 0;
  BlockWeights view = block.view();
  InputSkipping skipping(view, x, residual);
  EXPECT_DOUBLE_EQ(skipping.weightOfInputs(), 0.75); // up is 3 x 3, down 3 x 1
  EXPECT_EQ(skipping.thresholdForInputs(1), 0);
  EXPECT_EQ(skipping.thresholdForInputs(1.0 / 3), 2);
  EXPECT_DOUBLE_EQ(skipping.inputsAbove(2), 1.0 / 3);
  // x becomes (0, 0, 3) and (0, 0, 4), of which the first neuron is skipped.
  SkipEffect effect = skipping.at({2, 3}, skipping.above(2, 2));
  EXPECT_NEAR(effect.cett, (1.0 + 2.0 / 402) / 2, 1e-7);
  EXPECT_NEAR(*effect.withResidual, (321.0 / 421 + 2.0 / 402) / 2, 1e-7);
  EXPECT_DOUBLE_EQ(*effect.inputs, 1.0 / 3);
  EXPECT_DOUBLE_EQ(*effect.neurons, 1.0 / 6);
  EXPECT_DOUBLE_EQ(effect.density, 0.75 / 3 + 0.25 / 6);
  EXPECT_EQ(skipping.at({0, 0}, skipping.above(0, 2)).cett, 0);
  EXPECT_EQ(skipping.rowDensities(1), (std::vector<double>{2.0 / 3, 1}));
  InputThresholds found = skipping.thresholdsFor({1.0 / 3, 1.0 / 6}, 2);
  EXPECT_EQ(found.inputs, 2);
  effect = skipping.at(found, skipping.above(2, 2));
  EXPECT_DOUBLE_EQ(*effect.neurons, 1.0 / 6);
}

TEST(Numerics, InputErrorsAreDifferencesToTheBlock) {
  for (bool gated : {false, true}) {
    TestBlock block = randomBlock(gated, Activation::Silu);
    BlockWeights view = block.view();
    Matrix x = randomMatrix(50, 7);
    auto productsOf = [&](const Matrix &x) {
      Neurons neurons = evaluate(view, x);
      Matrix m = neurons.act;
      if (gated)
        m.array() *= neurons.up.array();
      return m;
    };
    InputSkipping skipping(view, x, Matrix());
    Matrix y = outputs(view, productsOf(x));
    InputThresholds at = {0.4f, 0.6f};
    Matrix m = productsOf((x.array().abs() > at.inputs).select(x, 0.0f));
    Matrix kept = (m.array().abs() > at.neurons).select(m, 0.0f);
    Matrix error = outputs(view, kept) - y;
    double cett = 0;
    for (long row = 0; row < x.rows(); ++row)
      cett += error.row(row).norm() / y.row(row).norm() / double(x.rows());
    SkipEffect effect = skipping.at(at, skipping.above(at.inputs, x.rows()));
    EXPECT_NEAR(effect.cett, cett, 1e-5);
    EXPECT_NEAR(*effect.neurons,
                double((m.array().abs() > at.neurons).count()) / m.size(),
                1e-9);
  }
}

TEST(Numerics, StepsTakeWhatCostsTheBlockLess) {
  for (bool gated : {false, true}) {
    TestBlock block = randomBlock(gated, Activation::Gelu);
    BlockWeights view = block.view();
    InputSkipping skipping(view, randomMatrix(128, 7), Matrix());
    std::vector<InputStep> steps = inputSteps(skipping);
    auto errorOf = [&](InputShares shares) {
      Skipping above =
          skipping.above(skipping.thresholdForInputs(shares.inputs), 128);
      return above.at(above.thresholdForDensity(shares.neurons)).cett;
    };
    ASSERT_GE(steps.size(), 19u);
    EXPECT_EQ(steps[0].error, 0);
    for (size_t i = 1; i < steps.size(); ++i) {
      InputShares before = steps[i - 1].shares, now = steps[i].shares;
      EXPECT_NEAR(skipping.densityOf(now), 1 - double(i) / 20, 1e-9);
      EXPECT_NEAR(steps[i].error, errorOf(now), 1e-9);
      InputShares other = before;
      if (now.inputs < before.inputs)
        other.neurons -= 0.05 / skipping.weightOfNeurons();
      else
        other.inputs -= 0.05 / skipping.weightOfInputs();
      if (other.inputs >= 0 && other.neurons >= 0) {
        EXPECT_LE(steps[i].error, errorOf(other) + 1e-6);
      }
    }
    for (double density : {1.0, 0.97, 0.8, 0.33, 0.01})
      EXPECT_NEAR(skipping.densityOf(sharesAt(steps, skipping, density)),
                  density, 1e-9);
    double density = densityForCett(steps, skipping, 0.2);
    EXPECT_LT(density, 1);
    EXPECT_LE(errorOf(sharesAt(steps, skipping, density)), 0.2);
    EXPECT_GT(errorOf(sharesAt(steps, skipping, density - 2.0 / 256)), 0.2);
    EXPECT_GT(densityForCett(steps, skipping, 1e-9), 0.95);
  }
}
