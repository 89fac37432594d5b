// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The model's large tensors, kept aside while ONNX's library works on the
// graph: it copies what it is given. The graph holds stubs, tensors whose
// "external data" is an index into this table.
#ifndef SPARSE_OPT_LIB_FRONTEND_WEIGHTS_H
#define SPARSE_OPT_LIB_FRONTEND_WEIGHTS_H
#include "Report.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>
#include <vector>

namespace sparse_opt::frontend {

class Weights {
public:
  /// `file` is the model's own, where large initialisers stay in it.
  Weights(llvm::StringRef folder, llvm::ArrayRef<std::string> allowExternal,
          std::shared_ptr<llvm::MemoryBuffer> file, const Report &report);

  /// Verifies every tensor of the model and takes the data of those over
  /// 1 KiB, and of all that are stored in external files.
  llvm::LogicalResult take(pb::ModelProto &model);

  /// The tensor as an attribute: `dense` when it is small, else a resource
  /// that shares this table's memory.
  mlir::FailureOr<mlir::ElementsAttr> attribute(const pb::TensorProto &tensor,
                                                llvm::StringRef name);

  /// Of names, types and bytes of all tensors seen by `take`, in order.
  std::string hash() const;

private:
  struct Entry {
    llvm::ArrayRef<char> bytes;
    std::shared_ptr<void> owner;
    bool isMapped; ///< from a file
    mlir::ElementsAttr attr;
  };

  llvm::LogicalResult takeGraph(pb::GraphProto &graph);
  llvm::LogicalResult takeNode(pb::NodeProto &node);
  llvm::LogicalResult takeSparse(const pb::SparseTensorProto &sparse,
                                 const llvm::Twine &what);
  llvm::LogicalResult takeTensor(pb::TensorProto &tensor,
                                 const llvm::Twine &what);
  llvm::LogicalResult takeExternal(pb::TensorProto &tensor,
                                   const llvm::Twine &what);
  mlir::FailureOr<std::shared_ptr<llvm::MemoryBuffer>>
  openExternal(llvm::StringRef location, const llvm::Twine &what);
  void replaceByStub(pb::TensorProto &tensor, Entry entry);
  Entry *find(const pb::TensorProto &tensor);
  void addToHash(const pb::TensorProto &tensor, llvm::StringRef bytes);
  mlir::ElementsAttr resource(mlir::ShapedType type, unsigned bits,
                              llvm::StringRef name, Entry &entry);

  const std::string folder;
  const std::vector<std::string> allowExternal;
  const Report &report;
  std::vector<Entry> entries;
  llvm::StringMap<std::shared_ptr<llvm::MemoryBuffer>> files;
  std::string digest;
};

} // namespace sparse_opt::frontend
#endif
