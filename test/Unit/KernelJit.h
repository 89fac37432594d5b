// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs kernel ops on memrefs in this process: the target's kernel lowering,
// upstream's passes for the rest, parallel loops in order on one thread; or a
// model as artefacts hold it, on whatever threads its caller has.
#ifndef SPARSE_OPT_TEST_UNIT_KERNELJIT_H
#define SPARSE_OPT_TEST_UNIT_KERNELJIT_H
#include "sparse-opt/Target/TargetInfo.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include <memory>

namespace sparse_opt {

/// True when code for `target` runs here: as it is, or with vector code in
/// place of its tile instructions (see TileEmulation.h).
bool canRun(const TargetInfo &target);
/// True when the latter.
bool isEmulated(const TargetInfo &target);

/// A memref argument as compiled code takes it (a pointer to this).
template <int rank> struct MemRef {
  void *allocated, *aligned;
  int64_t offset = 0, sizes[rank], strides[rank];
};

template <> struct MemRef<0> {
  void *allocated, *aligned;
  int64_t offset = 0;
};

/// One element.
template <typename T> MemRef<0> memRef(const T *data) {
  return {const_cast<T *>(data), const_cast<T *>(data)};
}

/// A row-major memref on `data`.
template <typename T, typename... Size>
MemRef<sizeof...(Size)> memRef(const T *data, Size... sizes) {
  constexpr int rank = sizeof...(Size);
  MemRef<rank> result;
  result.allocated = result.aligned = const_cast<T *>(data);
  int64_t all[] = {int64_t(sizes)...}, stride = 1;
  for (int i = rank - 1; i >= 0; --i) {
    result.sizes[i] = all[i];
    result.strides[i] = stride;
    stride *= all[i];
  }
  return result;
}

class KernelJit {
public:
  /// Kernels: functions with the attribute `llvm.emit_c_interface`, run by
  /// `call`. Model: what stage `vector` starts from for one target, run through
  /// `entry`.
  enum class Form { Kernels, Model };

  /// Compiles a module's text for `target`; aborts with a message when that
  /// fails.
  KernelJit(llvm::StringRef module, const TargetInfo &target,
            Form form = Form::Kernels);

  template <typename... Args> void call(const char *function, Args... args) {
    reinterpret_cast<void (*)(Args *...)>(
        address(std::string("_mlir_ciface_") + function))(&args...);
  }

  /// "plan" or "run" of ModelAbi.h.
  void *entry(llvm::StringRef name);

private:
  void *address(const std::string &symbol);
  std::string suffix;
  std::unique_ptr<llvm::orc::LLJIT> jit;
};

} // namespace sparse_opt
#endif
