# SPDX-License-Identifier: Apache-2.0
# find_package(warpbag) from the install tree and from the build tree.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS warpbag EXPORT warpbag-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/warpbag DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET warpbag_program)
  install(TARGETS warpbag_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

set(config_destination ${CMAKE_INSTALL_LIBDIR}/cmake/warpbag)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/warpbag-config.cmake.in
  ${PROJECT_BINARY_DIR}/warpbag-config.cmake INSTALL_DESTINATION ${config_destination})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/warpbag-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/warpbag-config.cmake ${PROJECT_BINARY_DIR}/warpbag-config-version.cmake
  DESTINATION ${config_destination})
install(EXPORT warpbag-targets NAMESPACE warpbag:: DESTINATION ${config_destination})
export(EXPORT warpbag-targets NAMESPACE warpbag:: FILE ${PROJECT_BINARY_DIR}/warpbag-targets.cmake)
