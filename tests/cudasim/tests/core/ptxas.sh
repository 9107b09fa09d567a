#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ptxas.sh CORE_TESTS PTXAS PTX_DIR: ptxas takes all the PTX that the tests generate.
set -e
tests=$1 ptxas=$2 ptx_dir=$3
"$tests" --dump-ptx arith.ptx
CUDASIM_DUMP=. "$tests" "$ptx_dir" a
for file in arith loadstore atomics wide; do
  "$ptxas" -arch=sm_100 $file.ptx -o /dev/null
done
