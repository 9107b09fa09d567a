# SPDX-License-Identifier: Apache-2.0
# warpbag_test(NAME SOURCES file... [LABELS label...] [LIBRARIES target...] [TIMEOUT seconds])
# A GoogleTest program on the library's insides (src/ is on its include path); each TEST is a ctest of its own binary's name.
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
endfunction()
