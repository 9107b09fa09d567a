# SPDX-License-Identifier: Apache-2.0
# Finds NCCL when it is wanted and sets WARPBAG_WITH_NCCL, WARPBAG_NCCL_INCLUDE and WARPBAG_NCCL_LIBRARY. PyPI's package
# (nvidia-nccl-cu13) has its files under site-packages/nvidia/nccl, which CMAKE_PREFIX_PATH may name, and no libnccl.so.
set(WARPBAG_WITH_NCCL OFF)
if(WARPBAG_WITH_CUDA AND NOT WARPBAG_NCCL STREQUAL OFF)
  find_path(WARPBAG_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  find_library(WARPBAG_NCCL_LIBRARY NAMES nccl libnccl.so.2
    HINTS ${CUDAToolkit_LIBRARY_DIR} ${CUDAToolkit_LIBRARY_ROOT} PATH_SUFFIXES lib64 lib)
  mark_as_advanced(WARPBAG_NCCL_INCLUDE WARPBAG_NCCL_LIBRARY)
  if(WARPBAG_NCCL_INCLUDE AND WARPBAG_NCCL_LIBRARY)
    set(WARPBAG_WITH_NCCL ON)
  endif()
endif()
if(WARPBAG_NCCL STREQUAL ON AND NOT WARPBAG_WITH_NCCL)
  message(FATAL_ERROR "WARPBAG_NCCL=ON needs CUDA, nccl.h and libnccl; set CMAKE_PREFIX_PATH")
endif()
message(STATUS "warpbag: NCCL transport ${WARPBAG_WITH_NCCL}")
