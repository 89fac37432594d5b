// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The importer's steps in their order.
#include "sparse-opt/Frontend/Import.h"
#include "BuildModule.h"
#include "ModelFile.h"
#include "Names.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::frontend;
namespace ir = ::sparse_opt::onnx;

/// Everything after parsing.
static OwningOpRef<ModuleOp>
importModel(pb::ModelProto &model, std::shared_ptr<llvm::MemoryBuffer> file,
            StringRef folder, const ImportOptions &options,
            const Report &report) {
  ModelInfo info;
  Weights weights(folder, options.allowExternal, std::move(file), report);
  // 1. Make sure that ONNX's library gets what it can handle: versions it
  //    knows, names that resolve, tensors that hold what they should.
  registerMicrosoftOperators();
  if (failed(readVersions(model, info, report)) ||
      failed(resolveNames(*model.mutable_graph(), report)) ||
      failed(weights.take(model)))
    return nullptr;
  // 2. Check, inline, convert, infer.
  nameNodes(*model.mutable_graph());
  if (failed(checkModel(model, report)) ||
      failed(inlineFunctions(model, report)))
    return nullptr;
  dropDefaultedInputs(model);
  nameNodes(*model.mutable_graph());
  if (failed(convertOpset(model, options.canonicalOpset, report)) ||
      failed(inferTypes(model, report)))
    return nullptr;
  // 3. Build.
  OwningOpRef<ModuleOp> module = buildModule(model, info, weights, report);
  if (module && failed(verify(*module)))
    return nullptr;
  return module;
}

static void loadDialects(MLIRContext &context) {
  context.loadDialect<ir::OnnxDialect, func::FuncDialect>();
}

/// Memory is the one thing that protobuf and the standard library may run out
/// of anywhere.
template <typename Parse>
static OwningOpRef<ModuleOp> importWith(const Report &report, StringRef folder,
                                        const ImportOptions &options,
                                        Parse parse) {
  loadDialects(report.context);
  try {
    pb::ModelProto model;
    std::shared_ptr<llvm::MemoryBuffer> file; // that weights stay in
    if (failed(parse(model, file)))
      return nullptr;
    return importModel(model, std::move(file), folder, options, report);
  } catch (const std::exception &thrown) {
    (void)report.error(cleanMessage(thrown.what()));
    return nullptr;
  }
}

void sparse_opt::registerImportDialects(DialectRegistry &registry) {
  registry.insert<ir::OnnxDialect, func::FuncDialect>();
}

bool sparse_opt::isOnnxFileName(StringRef path) {
  return path.ends_with(".onnx") || path.ends_with(".onnxtxt");
}

OwningOpRef<ModuleOp> sparse_opt::importOnnxFile(StringRef path,
                                                 MLIRContext &context,
                                                 const ImportOptions &options) {
  Report report(context, path);
  return importWith(
      report, llvm::sys::path::parent_path(path), options,
      [&](pb::ModelProto &model, std::shared_ptr<llvm::MemoryBuffer> &file) {
        return parseFile(path, model, file, report);
      });
}

OwningOpRef<ModuleOp>
sparse_opt::importOnnxBuffer(StringRef bytes, bool text, StringRef name,
                             StringRef folder, MLIRContext &context,
                             const ImportOptions &options) {
  Report report(context, name);
  return importWith(report, folder, options,
                    [&](pb::ModelProto &model, auto &) {
                      return parseBytes(bytes, text, model, report);
                    });
}
