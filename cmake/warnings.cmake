# SPDX-License-Identifier: Apache-2.0
# Compile options of our own targets, never exported: warnings, the rules of numerics N1 (no contraction, nothing "fast"),
# sanitizers.
# -Wrestrict: false alarms of g++ 12 at "text" + std::to_string(n) (GCC bug 105651).
add_library(warpbag_compile_options INTERFACE)
target_compile_options(warpbag_compile_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wconversion;-Wsign-conversion;-Wshadow;-ffp-contract=off>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${WARPBAG_WERROR}>>:-Werror>
  $<$<COMPILE_LANGUAGE:CUDA>:-fmad=false;-Xcompiler=-Wall;-Xcompiler=-ffp-contract=off;-Xcompiler=-fvisibility=hidden>
  $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${WARPBAG_WERROR}>>:-Werror=all-warnings;-Xcompiler=-Werror>)
if(WARPBAG_SANITIZE)
  # Undefined behaviour is looked for in the library: checking GoogleTest's templates for it is a third of a test's compile time.
  target_compile_options(warpbag_compile_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${WARPBAG_SANITIZE};-fno-sanitize-recover=all;-fno-omit-frame-pointer>
    $<$<BOOL:$<TARGET_PROPERTY:WARPBAG_TEST_PROGRAM>>:-fno-sanitize=undefined>)
  target_link_options(warpbag_compile_options INTERFACE -fsanitize=${WARPBAG_SANITIZE})
endif()
