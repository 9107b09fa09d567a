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
set(WARPBAG_WITH_MPI OFF)
if(NOT WARPBAG_MPI STREQUAL OFF)
  set(MPI_CXX_SKIP_MPICXX ON)  # its C interface alone
  find_package(MPI COMPONENTS CXX QUIET)
  if(MPI_CXX_FOUND)
    set(WARPBAG_WITH_MPI ON)
  elseif(WARPBAG_MPI STREQUAL ON)
    message(FATAL_ERROR "WARPBAG_MPI=ON, but no MPI was found; set MPI_HOME or MPI_CXX_COMPILER")
  endif()
endif()
message(STATUS "warpbag: MPI ${WARPBAG_WITH_MPI}")
include(nccl)
if(WARPBAG_CLI)
  find_package(CLI11 2.1 REQUIRED)
  find_package(benchmark QUIET)  # without it the program says so when it is asked to measure
  set(WARPBAG_WITH_BENCHMARK ${benchmark_FOUND})
  message(STATUS "warpbag: Google Benchmark ${WARPBAG_WITH_BENCHMARK}")
endif()
if(WARPBAG_TESTS)
  find_package(GTest REQUIRED)
endif()
