# One place decides how sparse-opt links MLIR: the shared libMLIR, never both.
# EXCEPTIONS: the library calls ONNX, which throws; LLVM's flags turn that off.
function(sparse_opt_library name)
  cmake_parse_arguments(ARG "EXCEPTIONS" "" "SRCS;TABLEGEN;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SRCS})
  if(ARG_TABLEGEN)
    add_dependencies(${name} ${ARG_TABLEGEN})
  endif()
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} MLIR LLVM)
  if(ARG_EXCEPTIONS)
    set(LLVM_REQUIRES_EH ON)
    set(LLVM_REQUIRES_RTTI ON)
  endif()
  llvm_update_compile_flags(${name})
endfunction()

# Ops, types, attributes, enums and the dialect class of dialects/<Name>.
function(sparse_opt_dialect name)
  string(TOLOWER ${name} mnemonic)
  set(LLVM_TARGET_DEFINITIONS ${name}Ops.td)
  mlir_tablegen(${name}Dialect.h.inc -gen-dialect-decls -dialect=${mnemonic})
  mlir_tablegen(${name}Dialect.cpp.inc -gen-dialect-defs -dialect=${mnemonic})
  mlir_tablegen(${name}Enums.h.inc -gen-enum-decls)
  mlir_tablegen(${name}Enums.cpp.inc -gen-enum-defs)
  mlir_tablegen(${name}Attrs.h.inc -gen-attrdef-decls -attrdefs-dialect=${mnemonic})
  mlir_tablegen(${name}Attrs.cpp.inc -gen-attrdef-defs -attrdefs-dialect=${mnemonic})
  mlir_tablegen(${name}Types.h.inc -gen-typedef-decls -typedefs-dialect=${mnemonic})
  mlir_tablegen(${name}Types.cpp.inc -gen-typedef-defs -typedefs-dialect=${mnemonic})
  mlir_tablegen(${name}Ops.h.inc -gen-op-decls)
  mlir_tablegen(${name}Ops.cpp.inc -gen-op-defs)
  add_public_tablegen_target(SparseOpt${name}IncGen)
  sparse_opt_doc(${name}Ops.td dialects/${name}.md -gen-dialect-doc -dialect=${mnemonic})
endfunction()

# Pass declarations of include/sparse-opt/<Area>/Passes.td and their page.
function(sparse_opt_passes area)
  string(TOLOWER ${area} leaf)
  set(LLVM_TARGET_DEFINITIONS Passes.td)
  mlir_tablegen(Passes.h.inc -gen-pass-decls -name ${area})
  add_public_tablegen_target(SparseOpt${area}IncGen)
  sparse_opt_doc(Passes.td passes/${leaf}.md -gen-pass-doc)
endfunction()

# One page of docs/generated. Built always, compared by the test `docs`;
# `ninja update-docs` copies the pages into the source tree.
function(sparse_opt_doc td out)
  set(LLVM_TARGET_DEFINITIONS ${td})
  get_filename_component(leaf ${out} NAME)
  tablegen(MLIR ${leaf} ${ARGN})
  set(page ${PROJECT_BINARY_DIR}/docs/generated/${out})
  add_custom_command(OUTPUT ${page}
    COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_CURRENT_BINARY_DIR}/${leaf} ${page}
    DEPENDS ${CMAKE_CURRENT_BINARY_DIR}/${leaf})
  string(MAKE_C_IDENTIFIER ${out} id)
  add_custom_target(doc_${id} DEPENDS ${page})
  if(NOT TARGET sparse-opt-doc)
    add_custom_target(sparse-opt-doc ALL)
    add_custom_target(update-docs
      COMMAND ${CMAKE_COMMAND} -E rm -rf ${PROJECT_SOURCE_DIR}/docs/generated
      COMMAND ${CMAKE_COMMAND} -E copy_directory ${PROJECT_BINARY_DIR}/docs/generated ${PROJECT_SOURCE_DIR}/docs/generated)
    add_dependencies(update-docs sparse-opt-doc)
  endif()
  add_dependencies(sparse-opt-doc doc_${id})
endfunction()
