# SPDX-License-Identifier: Apache-2.0
# All from the system (Debian: libhwy-dev nlohmann-json3-dev libcli11-dev libgtest-dev libxxhash-dev); nothing is downloaded here.
find_package(Threads REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(HWY CONFIG QUIET)
if(NOT TARGET hwy::hwy)
  find_path(WARPBAG_HWY_INCLUDE hwy/highway.h REQUIRED)
  find_library(WARPBAG_HWY_LIBRARY NAMES hwy REQUIRED)
  add_library(hwy::hwy UNKNOWN IMPORTED)
  set_target_properties(hwy::hwy PROPERTIES IMPORTED_LOCATION ${WARPBAG_HWY_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${WARPBAG_HWY_INCLUDE})
endif()
find_path(WARPBAG_XXHASH_INCLUDE xxhash.h REQUIRED)  # headers alone
if(WARPBAG_CLI)
  find_package(CLI11 2.1 REQUIRED)
endif()
if(WARPBAG_TESTS)
  find_package(GTest REQUIRED)
endif()
