include(${CMAKE_CURRENT_LIST_DIR}/sparse-optTargets.cmake)

# sparse_opt_add_model(name MODEL file.onnx [ENTRY symbol] [FLAGS flag...])
# A static library `name` with the compiled model: link it, include
# "sparse-opt/Runtime/Runtime.h", call the entry.
function(sparse_opt_add_model name)
  cmake_parse_arguments(ARG "" "MODEL;ENTRY" "FLAGS" ${ARGN})
  if(ARG_ENTRY)
    list(APPEND ARG_FLAGS --entry=${ARG_ENTRY})
  endif()
  get_filename_component(model ${ARG_MODEL} ABSOLUTE)
  set(archive ${CMAKE_CURRENT_BINARY_DIR}/lib${name}.a)
  add_custom_command(OUTPUT ${archive}
    COMMAND sparse-opt::sparse-opt compile ${model} --emit=lib -o ${archive} ${ARG_FLAGS}
    DEPENDS ${model} COMMENT "Compiling ${ARG_MODEL}" VERBATIM)
  add_custom_target(${name}_model DEPENDS ${archive})
  add_library(${name} STATIC IMPORTED GLOBAL)
  get_target_property(include sparse-opt::sparse_opt_runtime INTERFACE_INCLUDE_DIRECTORIES)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION ${archive}
    INTERFACE_INCLUDE_DIRECTORIES "${include}" INTERFACE_LINK_LIBRARIES "m;pthread")
  add_dependencies(${name} ${name}_model)
endfunction()
