# SPDX-License-Identifier: Apache-2.0
# warpbag_cuda_test(TARGET [ARGS arg...] [LABELS label...] [TIMEOUT seconds] [ENVIRONMENT VAR=value...]
#                   [NO_RACECHECK | RACECHECK_FILTER gtest-filter])
# Makes ctests of a CUDA GoogleTest program that is linked with the shared CUDA runtime.
#   With a GPU: <TARGET>, on the GPU.
#   Without: <TARGET>, under tests/cudasim with memcheck, initcheck, the leak report and the default stream forbidden
#   (label cuda); and <TARGET>.racecheck-1 and -2, each with racecheck under a random schedule of its own (labels cuda and
#   racecheck), of the tests that RACECHECK_FILTER names or all. A fault or finding of the simulator fails the test
#   (CUDASIM_STRICT), unless the program forgave it: see cudasim_forgive_findings in tests/cudasim/src/runtime/cudasim.h.
# TIMEOUT (600) is that of each ctest.
set(WARPBAG_TEST_ON_GPU AUTO CACHE STRING "CUDA tests run on a GPU: AUTO (when nvidia-smi lists one), ON, OFF (under tests/cudasim)")
set_property(CACHE WARPBAG_TEST_ON_GPU PROPERTY STRINGS AUTO ON OFF)

if(WARPBAG_TEST_ON_GPU STREQUAL AUTO)
  execute_process(COMMAND nvidia-smi -L OUTPUT_VARIABLE gpus ERROR_QUIET RESULT_VARIABLE status)
  string(COMPARE NOTEQUAL "${gpus}" "" listed)
  if(status EQUAL 0 AND listed)
    set(WARPBAG_GPU_PRESENT ON)
  else()
    set(WARPBAG_GPU_PRESENT OFF)
  endif()
else()
  set(WARPBAG_GPU_PRESENT ${WARPBAG_TEST_ON_GPU})
endif()

if(WARPBAG_GPU_PRESENT)
  message(STATUS "warpbag: CUDA tests run on the GPU")
else()
  message(STATUS "warpbag: CUDA tests run under cudasim")
endif()
if(NOT WARPBAG_GPU_PRESENT OR CUDASIM_BUILD_TESTS)
  add_subdirectory(${CMAKE_CURRENT_LIST_DIR}/../tests/cudasim ${CMAKE_BINARY_DIR}/tests/cudasim)
endif()

# One ctest of a program under the simulator: name, environment, then the program and its arguments.
function(_warpbag_simulated_test name environment)
  list(APPEND environment CUDASIM_STRICT=1 CUDASIM_FORBID_DEFAULT_STREAM=1)
  list(REMOVE_ITEM environment "")
  add_test(NAME ${name} COMMAND ${ARGN})
  set_tests_properties(${name} PROPERTIES
    ENVIRONMENT "${environment}"
    ENVIRONMENT_MODIFICATION "LD_LIBRARY_PATH=path_list_prepend:$<TARGET_FILE_DIR:cudasim_runtime>"
    FAIL_REGULAR_EXPRESSION "Running 0 tests")
endfunction()

function(warpbag_cuda_test target)
  cmake_parse_arguments(PARSE_ARGV 1 test "NO_RACECHECK" "TIMEOUT;RACECHECK_FILTER" "ARGS;LABELS;ENVIRONMENT")
  if(test_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "warpbag_cuda_test(${target}): unknown arguments ${test_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT test_TIMEOUT)
    set(test_TIMEOUT 600)
  endif()
  # LD_LIBRARY_PATH comes before DT_RUNPATH, but after the older DT_RPATH.
  target_link_options(${target} PRIVATE LINKER:--enable-new-dtags)
  if(WARPBAG_GPU_PRESENT)
    add_test(NAME ${target} COMMAND ${target} ${test_ARGS})
    set_tests_properties(${target} PROPERTIES ENVIRONMENT "${test_ENVIRONMENT}" RESOURCE_LOCK gpu)
  else()
    add_dependencies(${target} cudasim_runtime)
    if(TARGET cudasim_nccl)
      add_dependencies(${target} cudasim_nccl)
    endif()
    _warpbag_simulated_test(${target} "CUDASIM_INITCHECK=1;CUDASIM_LEAKS=1;${test_ENVIRONMENT}" ${target} ${test_ARGS})
    if(NOT test_NO_RACECHECK)
      set(filter "")
      if(test_RACECHECK_FILTER)
        set(filter "GTEST_FILTER=${test_RACECHECK_FILTER}")
      endif()
      foreach(seed 1 2)
        set(name ${target}.racecheck-${seed})
        _warpbag_simulated_test(${name}
          "CUDASIM_RACECHECK=1;CUDASIM_SCHEDULE=random:${seed};${filter};${test_ENVIRONMENT}" ${target} ${test_ARGS})
        set(slow "")
        if(seed GREATER 1)
          set(slow slow)  # the ci preset leaves these out
        endif()
        set_tests_properties(${name} PROPERTIES LABELS "cuda;racecheck;${slow};${test_LABELS}" TIMEOUT ${test_TIMEOUT})
      endforeach()
    endif()
  endif()
  set_tests_properties(${target} PROPERTIES LABELS "cuda;${test_LABELS}" TIMEOUT ${test_TIMEOUT})
endfunction()
