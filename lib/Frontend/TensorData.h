// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What TensorProto's many ways to hold data have in common: a shape, an
// element type and bytes.
#ifndef SPARSE_OPT_LIB_FRONTEND_TENSORDATA_H
#define SPARSE_OPT_LIB_FRONTEND_TENSORDATA_H
#include "Report.h"
#include "mlir/IR/Types.h"
#include <optional>

namespace sparse_opt::frontend {

/// MLIR's type for a TensorProto::DataType; null for unknown numbers.
mlir::Type elementType(mlir::MLIRContext &context, int32_t dataType);

/// Bits that an element takes in raw_data; 0 for strings and unknown numbers.
unsigned rawBits(int32_t dataType);

/// Product of the dims; none when one is negative or it passes 2^48.
std::optional<int64_t> elementCount(const pb::TensorProto &tensor);

/// Bytes of a tensor of `count` elements in the layout of raw_data.
uint64_t rawSize(int32_t dataType, int64_t count);

/// "f32[3x4]".
std::string describeType(const pb::TensorProto &tensor,
                         mlir::MLIRContext &context);

/// Checks element type, dims and the amount of data of a tensor that holds its
/// data itself. `what` says whose it is.
llvm::LogicalResult verifyTensor(const pb::TensorProto &tensor,
                                 const llvm::Twine &what, const Report &report);

/// The data of a verified tensor, not of strings, in the layout of raw_data;
/// the tensor's data is moved or converted, and gone from it.
std::string takeRawData(pb::TensorProto &tensor);

/// `count` elements of 2, 4 or 6 bits, packed from the low bits up, as one
/// byte each.
std::string unpack(llvm::StringRef packed, unsigned bits, int64_t count);

} // namespace sparse_opt::frontend
#endif
