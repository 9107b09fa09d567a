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
    # An allocation that cannot succeed is tested: sanitizers end the program there unless told otherwise.
    set_tests_properties(${name} PROPERTIES ENVIRONMENT
      "WARPBAG_TEST_CONFIGURATIONS=60;ASAN_OPTIONS=allocator_may_return_null=1;TSAN_OPTIONS=allocator_may_return_null=1")
  endif()
endfunction()
