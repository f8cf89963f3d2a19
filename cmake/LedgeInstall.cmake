# SPDX-License-Identifier: Apache-2.0
# What `cmake --install BUILD --component sdk` puts under the prefix: libledge (shared and static), the public headers,
# ledge-config.cmake for find_package(ledge), and ledge.pc for pkg-config. Nothing in it knows the prefix: the tree may
# be moved.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ledge)
install(TARGETS libledge libledge_static EXPORT ledge-targets COMPONENT sdk
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET ledge_image)
    install(TARGETS ledge_image COMPONENT sdk LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(EXPORT ledge-targets NAMESPACE ledge:: DESTINATION ${package_dir} COMPONENT sdk)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/ledge DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT sdk
    FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/ledge-config.cmake.in ${CMAKE_BINARY_DIR}/ledge-config.cmake
    INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/ledge-config-version.cmake
    VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/ledge-config.cmake ${CMAKE_BINARY_DIR}/ledge-config-version.cmake
    DESTINATION ${package_dir} COMPONENT sdk)

# From the folder of ledge.pc back to the prefix.
file(RELATIVE_PATH LEDGE_PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" LEDGE_PC_TO_PREFIX "${LEDGE_PC_TO_PREFIX}")
configure_file(${CMAKE_CURRENT_LIST_DIR}/ledge.pc.in ${CMAKE_BINARY_DIR}/ledge.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/ledge.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT sdk)
