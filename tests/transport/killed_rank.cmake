# SPDX-License-Identifier: Apache-2.0
# cmake -DMPIEXEC=mpiexec -DPROGRAM=mpi_survivor -DWORDS=text -P killed_rank.cmake
# One of three ranks is killed by SIGKILL. mpiexec may end the others before they find out; what counts is that the job ends soon
# and with an error. Told to let them live (Open MPI's --enable-recovery), all others find out by their deadline and
# print WORDS.
function(run)
  execute_process(COMMAND ${MPIEXEC} ${ARGV} -n 3 ${PROGRAM} TIMEOUT 20
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  set(result "${result}" PARENT_SCOPE)
  set(output "${output}" PARENT_SCOPE)
  message("${result}\n${output}${errors}")
endfunction()

run()
if(result STREQUAL "0" OR result MATCHES "timeout")
  message(FATAL_ERROR "a job with a killed rank ended with ${result}")
endif()

run(--enable-recovery)
string(REGEX MATCHALL "${WORDS}" lost "${output}")
list(LENGTH lost found)
if(NOT found EQUAL 2 OR result MATCHES "timeout")
  message(FATAL_ERROR "${found} of 2 ranks found out that rank 1 was lost; the job ended with ${result}")
endif()
