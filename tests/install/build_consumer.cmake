# SPDX-License-Identifier: Apache-2.0
# cmake -DCONSUMER=... -DWORK=... -DCONFIGURE=<list of -D> [-DINSTALL_FROM=<build tree>] -P build_consumer.cmake
# Configures, builds and runs the consumer in an empty folder; with INSTALL_FROM it installs that build tree first.
file(REMOVE_RECURSE ${WORK})
if(INSTALL_FROM)
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${INSTALL_FROM} --prefix ${WORK}/prefix
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND CONFIGURE -DCMAKE_PREFIX_PATH=${WORK}/prefix)
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -S ${CONSUMER} -B ${WORK}/build -G Ninja ${CONFIGURE} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${WORK}/build COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_CTEST_COMMAND} --test-dir ${WORK}/build --output-on-failure --no-tests=error
  COMMAND_ERROR_IS_FATAL ANY)
