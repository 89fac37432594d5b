# `cmake --install build --prefix DIR`: a tree that can be moved. The compiler
# finds the runtime beside itself; a CMake project finds both, and the function
# sparse_opt_add_model, with find_package(sparse-opt).
include(CMakePackageConfigHelpers)
set(SPARSE_OPT_PACKAGE_DIR lib/cmake/sparse-opt)

target_include_directories(sparse_opt_runtime INTERFACE $<INSTALL_INTERFACE:include>)
install(TARGETS sparse-opt sparse_opt_runtime EXPORT sparse-optTargets
  RUNTIME DESTINATION bin ARCHIVE DESTINATION lib)
install(TARGETS sparse_opt_main ARCHIVE DESTINATION lib) # for --emit=exe
install(EXPORT sparse-optTargets NAMESPACE sparse-opt:: DESTINATION ${SPARSE_OPT_PACKAGE_DIR})
install(FILES include/sparse-opt/Runtime/Runtime.h DESTINATION include/sparse-opt/Runtime)
install(FILES LICENSE THIRD_PARTY_NOTICES DESTINATION share/doc/sparse-opt)

write_basic_package_version_file(${PROJECT_BINARY_DIR}/sparse-optConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES cmake/sparse-optConfig.cmake ${PROJECT_BINARY_DIR}/sparse-optConfigVersion.cmake
  DESTINATION ${SPARSE_OPT_PACKAGE_DIR})
