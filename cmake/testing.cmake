# SPDX-License-Identifier: Apache-2.0
# warpbag_test(NAME SOURCES file... [LABELS label...] [LIBRARIES target...] [TIMEOUT seconds])
# A GoogleTest program on the library's insides (src/ is on its include path); each TEST is a ctest of its own binary's name.
#
# Label `threads` marks programs whose point is threads: warpbag_threaded_tests builds them, `ctest -L threads` runs them, which
# is what a build with the thread sanitizer does. Sanitizers slow programs down by 5 to 15 times: fewer random configurations.
add_custom_target(warpbag_threaded_tests)

function(warpbag_test name)
  cmake_parse_arguments(PARSE_ARGV 1 test "" "TIMEOUT" "SOURCES;LABELS;LIBRARIES")
  if(NOT test_TIMEOUT)
    set(test_TIMEOUT 300)
  endif()
  add_executable(${name} ${test_SOURCES})
  target_link_libraries(${name} PRIVATE warpbag_internal warpbag_compile_options GTest::gtest_main GTest::gmock ${test_LIBRARIES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${test_TIMEOUT} LABELS "cpu;${test_LABELS}")
  if("threads" IN_LIST test_LABELS)
    add_dependencies(warpbag_threaded_tests ${name})
  endif()
  if(WARPBAG_SANITIZE)
    set(configurations 30)
    if(WARPBAG_SANITIZE STREQUAL thread)
      set(configurations 10)
    endif()
    # An allocation that cannot succeed is tested: sanitizers end the program there unless told otherwise.
    set_tests_properties(${name} PROPERTIES TIMEOUT 900 ENVIRONMENT
      "WARPBAG_TEST_CONFIGURATIONS=${configurations};ASAN_OPTIONS=allocator_may_return_null=1;TSAN_OPTIONS=allocator_may_return_null=1")
  endif()
endfunction()

# Open MPI on one machine, perhaps as root, with more ranks than cores, in a sandbox that has neither ptrace nor a network. Other
# MPIs do not know these names.
set(WARPBAG_MPI_ENVIRONMENT
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
  OMPI_MCA_plm=isolated OMPI_MCA_oob_tcp_if_include=lo OMPI_MCA_btl=self,vader OMPI_MCA_btl_vader_single_copy_mechanism=none)
if(WARPBAG_SANITIZE)  # what Open MPI does not free is not warpbag's leak
  list(APPEND WARPBAG_MPI_ENVIRONMENT ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1)
endif()

# warpbag_mpi_test(NAME PROGRAM target RANKS n... [ARGUMENTS argument...] [TIMEOUT seconds])
# Runs the program under mpirun with each number of ranks, as the test NAME_<n>. Nothing in a build without MPI.
function(warpbag_mpi_test name)
  if(NOT WARPBAG_WITH_MPI)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 test "" "PROGRAM;TIMEOUT" "RANKS;ARGUMENTS")
  if(NOT test_TIMEOUT)
    set(test_TIMEOUT 120)
  endif()
  foreach(ranks IN LISTS test_RANKS)
    add_test(NAME ${name}_${ranks}
      COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} $<TARGET_FILE:${test_PROGRAM}> ${test_ARGUMENTS})
    set_tests_properties(${name}_${ranks} PROPERTIES TIMEOUT ${test_TIMEOUT} LABELS "cpu;mpi" PROCESSORS 2
      ENVIRONMENT "${WARPBAG_MPI_ENVIRONMENT}")
  endforeach()
endfunction()
