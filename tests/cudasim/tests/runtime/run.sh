#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the test programs with nvcc and runs them under the simulator.
#   tests/runtime/run.sh [-l LIBDIR] [-o BUILDDIR] [-n | -b] [NAME-PATTERN]
# Prints one line per test and the counts; exits 1 if anything failed.
# -n only prints the tests' names; -b only builds the programs of the tests that match (ctest does
# both, see CMakeLists.txt).
set -u
here=$(cd "$(dirname "$0")" && pwd)
lib=$here/../../build/lib
out=${TMPDIR:-/tmp}/cudasim-runtime-tests
action=run
while getopts l:o:nb option; do
  case $option in
    l) lib=$OPTARG ;;
    o) out=$OPTARG ;;
    n) action=names ;;
    b) action=build ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
pattern=${1:-.}
nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
if [ $action = run ]; then lib=$(cd "$lib" && pwd) || exit 2; fi
mkdir -p "$out"
[ $action = build ] && rm -f "$out/build-failed"

arch=(-gencode "arch=compute_90,code=[sm_90,compute_90]")
common=(-std=c++17 -O2 -cudart shared -Wno-deprecated-gpu-targets)

# name, then the nvcc arguments
build() {
  local name=$1; shift
  local newest
  newest=$(ls -t "$here"/*.cu "$here"/*.h "$here"/../../src/runtime/cudasim.h | head -1)
  [ -x "$out/$name" ] && [ "$out/$name" -nt "$newest" ] && return 0
  rm -f "$out/$name"  # an old program must not stand in for one that does not compile
  "$nvcc" "${common[@]}" "$@" -o "$out/$name" >"$out/$name.log" 2>&1 && return 0
  echo "BUILD FAILED $name"; cat "$out/$name.log"; touch "$out/build-failed"
}

basic=("$here/basic.cu" "$here/two_units.cu")
jobs_started=0
spawn() { build "$@" & jobs_started=$((jobs_started + 1)); [ $((jobs_started % 2)) -eq 0 ] && wait; }
needs() { [ $action != names ] && [[ $1 =~ $pattern || $pattern =~ $1 ]]; }

needs cub && spawn cub "${arch[@]}" "$here/cub.cu"
needs thrust && spawn thrust "${arch[@]}" "$here/thrust.cu"
needs basic && spawn basic "${arch[@]}" "${basic[@]}"
needs basic-plain && spawn basic-plain "${arch[@]}" --no-compress "${basic[@]}"
needs basic-size && spawn basic-size "${arch[@]}" --compress-mode=size "${basic[@]}"
needs basic-speed && spawn basic-speed "${arch[@]}" --compress-mode=speed "${basic[@]}"
needs basic-90a && spawn basic-90a -gencode "arch=compute_90a,code=[sm_90a,compute_90a]" "${basic[@]}"
needs basic-ptx75 && spawn basic-ptx75 -gencode arch=compute_75,code=compute_75 "${basic[@]}"
needs basic-many && spawn basic-many -gencode "arch=compute_80,code=[sm_80,compute_80]" "${arch[@]}" -gencode "arch=compute_100,code=[sm_100,compute_100]" "${basic[@]}"
needs basic-ptds && spawn basic-ptds "${arch[@]}" -default-stream per-thread "${basic[@]}"
needs streams && spawn streams "${arch[@]}" "$here/streams.cu"
needs faults && spawn faults "${arch[@]}" "$here/faults.cu"
needs graphs && spawn graphs "${arch[@]}" "$here/graphs.cu"
needs shared && spawn shared "${arch[@]}" "$here/shared.cu"
needs nccl && spawn nccl "${arch[@]}" "$here/nccl.cu" -lnccl
needs nccl-faults && spawn nccl_faults "${arch[@]}" "$here/nccl_faults.cu" -lnccl
needs injection && spawn injection "${arch[@]}" "$here/injection.cu"
needs injection && spawn injection-asan "${arch[@]}" -Xcompiler -fsanitize=address "$here/injection.cu"
needs checks && {
  spawn checks "${arch[@]}" "$here/checks.cu"
  spawn checks-noptx -gencode arch=compute_90,code=sm_90 "$here/checks.cu"
}
wait
[ $action = build ] && { [ ! -e "$out/build-failed" ]; exit; }

pass=0 fail=0
# check NAME EXPECTED-STATUS STDERR-PATTERN [VAR=VALUE ...] -- PROGRAM ARGUMENTS
# A status of 139 or 134 means death by that signal; an empty pattern matches anything.
check() {
  local name=$1 want=$2 match=$3; shift 3
  [[ $name =~ $pattern ]] || return 0
  [ $action = names ] && { echo "$name"; return 0; }
  local env=()
  while [ "$1" != -- ]; do env+=("$1"); shift; done
  shift
  local program=$out/$1; shift
  local start=$(date +%s.%N)
  { env "${env[@]}" LD_LIBRARY_PATH="$lib" timeout 580 "$program" "$@" >"$out/$name.out" 2>"$out/$name.err"; } 2>/dev/null
  local got=$?
  local took=$(printf '%.2f' "$(echo "$(date +%s.%N) - $start" | bc)")
  if [ "$got" -eq "$want" ] && { [ -z "$match" ] || grep -qE -- "$match" "$out/$name.err"; }; then
    pass=$((pass + 1)); printf 'pass  %-34s %6ss\n' "$name" "$took"
    [ -n "${VERBOSE:-}" ] && cat "$out/$name.out"
  else
    fail=$((fail + 1)); printf 'FAIL  %-34s %6ss  status %s (wanted %s%s)\n' "$name" "$took" "$got" "$want" "${match:+, stderr ~ $match}"
    tail -12 "$out/$name.out" | sed 's/^/      out: /'; tail -12 "$out/$name.err" | cut -c1-400 | sed 's/^/      err: /'
  fi
  return 0
}

for variant in basic basic-plain basic-size basic-speed basic-90a basic-ptx75 basic-many basic-ptds; do
  check "$variant" 0 "" -- "$variant"
done
check basic-eager 0 "" CUDASIM_STREAMS=eager -- basic
check basic-random 0 "" CUDASIM_SCHEDULE=random:5 -- basic
check basic-initcheck 0 "" CUDASIM_INITCHECK=1 -- basic

for mode in lazy eager; do check "streams-$mode" 0 "" CUDASIM_STREAMS=$mode -- streams good; done
check streams-random 0 "" CUDASIM_SCHEDULE=random:3 -- streams good
check streams-handshake 0 "" CUDASIM_DEVICES=2 -- streams handshake
check streams-missing-event-lazy 3 "" CUDASIM_SCHEDULE=ordered -- streams missing-event
check streams-missing-event-eager 0 "" CUDASIM_STREAMS=eager -- streams missing-event
check streams-pinned-reuse-lazy 3 "" CUDASIM_SCHEDULE=ordered -- streams pinned-reuse
check streams-pinned-reuse-eager 0 "" CUDASIM_STREAMS=eager -- streams pinned-reuse

check faults-past-end 0 "past the end of allocation" -- faults past-end
check faults-before-begin 0 "before allocation|past the end of allocation" -- faults before-begin
check faults-read-past-end 0 "past the end of allocation" -- faults read-past-end
check faults-use-after-free 0 "freed allocation" -- faults use-after-free
check faults-async-use-after-free 0 "freed allocation" -- faults async-use-after-free
check faults-host-pointer 0 "not pinned" -- faults host-pointer
check faults-null 0 "null pointer" -- faults null
check faults-constant 0 "" -- faults constant
check faults-misaligned 0 "" -- faults misaligned
check faults-trap 0 "" -- faults trap
check faults-other-device 0 "no peer access" CUDASIM_DEVICES=2 -- faults other-device
check faults-peer 0 "" CUDASIM_DEVICES=2 -- faults peer
check faults-double-free 0 "not the start of a live" -- faults double-free
check faults-host-dereference 139 "" -- faults host-dereference
check faults-fatal 134 "CUDASIM_FATAL" CUDASIM_FATAL=1 -- faults past-end

for mode in lazy eager; do check "graphs-$mode" 0 "" CUDASIM_STREAMS=$mode -- graphs; done
check shared 0 "" CUDASIM_DEVICES=2 -- shared
check checks-profile 0 "" CUDASIM_PROFILE="$out/profile.json" -- checks profile
check checks-profile-read 0 "" -- checks read-profile "$out/profile.json"
check checks-initcheck 0 "" CUDASIM_INITCHECK=1 -- checks uninitialised
check checks-garbage 0 "" -- checks garbage
check checks-garbage-initcheck 0 "never written|uninitiali|initcheck" CUDASIM_INITCHECK=1 -- checks garbage
check checks-exhaustion 0 "" CUDASIM_MEMORY=64M -- checks exhaustion
for initcheck in 0 1; do check "checks-big-$initcheck" 0 "bytes past the end of" CUDASIM_MEMORY=16G CUDASIM_INITCHECK=$initcheck -- checks big; done
check checks-big-uninitialised 0 "byte 0 was never written" CUDASIM_MEMORY=16G CUDASIM_INITCHECK=1 -- checks big-uninitialised
check checks-many 0 "" -- checks many
check checks-noptx 1 "holds no PTX" -- checks-noptx profile
check checks-no-device 1 "" CUDASIM_DEVICES=0 -- checks profile
check checks-selftest-must-fail 1 "" -- checks must-fail

check thrust 0 "" -- thrust
check cub 0 "" -- cub
check cub-random 0 "" CUDASIM_SCHEDULE=random:9 -- cub small
check cub-initcheck 0 "" CUDASIM_INITCHECK=1 CUDASIM_STRICT=1 -- cub small
for seed in 1 2; do check "cub-racecheck-$seed" 0 "" CUDASIM_RACECHECK=1 CUDASIM_STRICT=1 CUDASIM_SCHEDULE=random:$seed -- cub small; done

for n in 2 4 8; do
  check "nccl-single-$n" 0 "" CUDASIM_DEVICES=$n -- nccl single $n
  check "nccl-threads-$n" 0 "" CUDASIM_DEVICES=$n -- nccl threads $n
  check "nccl-processes-$n" 0 "" -- nccl processes $n
done
check nccl-eager 0 "" CUDASIM_DEVICES=4 CUDASIM_STREAMS=eager -- nccl threads 4
check nccl-types 0 "" CUDASIM_DEVICES=3 -- nccl types 3
check nccl-graph 0 "" CUDASIM_DEVICES=2 -- nccl graph 2
check nccl-mismatch 0 "does not match: rank 0 calls AllReduce\(count 16.*rank 1 calls AllReduce\(count 17" CUDASIM_DEVICES=2 -- nccl mismatch 2
check nccl-order 0 "does not match: rank 0 calls AllReduce.*rank 1 calls Broadcast" CUDASIM_DEVICES=2 -- nccl order 2
check nccl-transfer 0 "transfer #1 does not match: rank 0 calls Send\(count 5.*rank 1 calls Recv\(count 6" CUDASIM_DEVICES=2 -- nccl transfer 2
check nccl-unmatched 0 "transfer #2: Send.*waited 2 s for rank 1" CUDASIM_DEVICES=2 CUDASIM_NCCL_TIMEOUT=2 -- nccl unmatched 2
check nccl-lost 0 "process of rank 1 is gone|meeting point is gone" CUDASIM_NCCL_TIMEOUT=20 -- nccl lost 3
check nccl-missing-process 0 "waited 2 s for rank" CUDASIM_NCCL_TIMEOUT=2 -- nccl missing-process 3
check nccl-missing 0 "waited 2 s for rank 1" CUDASIM_DEVICES=2 CUDASIM_NCCL_TIMEOUT=2 -- nccl missing 2

check injection-functions 0 "injected: cudaMalloc #" -- injection functions
check injection-eager 0 "" CUDASIM_STREAMS=eager -- injection functions
check injection-call 0 "injected: cudaMemset #3" CUDASIM_FAIL_CALL=3:cudaErrorNotReady -- injection call
check injection-persistent 0 "injected: cudaFree #" CUDASIM_FAIL_CALL=3+:600 -- injection call-persistent
check injection-bad-setting 2 "CUDASIM_FAIL_CALL=x is not a value" CUDASIM_FAIL_CALL=x -- injection call
check injection-allocations 0 "injected: allocation #2" CUDASIM_FAIL_ALLOC=2 -- injection allocations
check injection-default-stream 0 "default stream: kernel set" CUDASIM_FORBID_DEFAULT_STREAM=1 -- injection default-stream
check injection-leak 0 "6 leaked objects" CUDASIM_LEAKS=1 -- injection leak
check injection-no-leak 0 " 0 leaked objects" CUDASIM_LEAKS=1 -- injection no-leak

check injection-strict 86 "CUDASIM_STRICT: 2 findings" CUDASIM_STRICT=1 -- injection strict
check injection-strict-off 0 "" -- injection strict
check injection-strict-forgiven 0 "" CUDASIM_STRICT=1 -- injection strict-forgiven
check injection-strict-leak 86 "CUDASIM_STRICT: 6 findings" CUDASIM_STRICT=1 CUDASIM_LEAKS=1 -- injection leak

check injection-asan-threads 0 "" -- injection-asan threads

for n in 2 4; do
  check "nccl-faults-nonblocking-threads-$n" 0 "" CUDASIM_DEVICES=$n -- nccl_faults nonblocking-threads $n
  check "nccl-faults-shrink-threads-$n" 0 "" CUDASIM_DEVICES=$n -- nccl_faults shrink-threads $n $((n - 1))
  check "nccl-faults-shrink-processes-$n" 0 "process of rank 1 is gone" -- nccl_faults shrink-processes $n 1
done
for n in 2 3 4 8; do check "nccl-faults-capture-$n" 0 "" CUDASIM_DEVICES=$n -- nccl_faults capture $n; done
check nccl-faults-nonblocking-processes 0 "" -- nccl_faults nonblocking-processes 3
check nccl-faults-nonblocking-group 0 "" CUDASIM_DEVICES=3 -- nccl_faults nonblocking-group 3
check nccl-faults-scalable 0 "" CUDASIM_DEVICES=3 -- nccl_faults scalable 3
check nccl-faults-abort 0 "rank 0 has aborted" CUDASIM_DEVICES=4 -- nccl_faults abort 4
check nccl-faults-abort-init 0 "" CUDASIM_DEVICES=2 -- nccl_faults abort-init 2
check nccl-faults-revoke 0 "" CUDASIM_DEVICES=4 -- nccl_faults revoke-threads 4 0
check nccl-faults-shrink-group 0 "" CUDASIM_DEVICES=3 -- nccl_faults shrink-group 3
check nccl-faults-shrink-first-process 0 "meeting point is gone" -- nccl_faults shrink-processes 3 0
check nccl-faults-inject 0 "injected: nccl operation" CUDASIM_DEVICES=3 -- nccl_faults inject 3
check nccl-faults-inject-environment 0 "" CUDASIM_DEVICES=2 CUDASIM_NCCL_FAIL=1:2:6 CUDASIM_NCCL_DELAY=0:1:200 -- nccl_faults inject-environment 2
check nccl-faults-killed 0 "waited 2 s for rank 1" CUDASIM_DEVICES=3 CUDASIM_NCCL_KILL=1:2 CUDASIM_NCCL_TIMEOUT=2 -- nccl_faults killed 3
check nccl-faults-killed-process 0 "process of rank 1 is gone" CUDASIM_NCCL_KILL=1:2:process -- nccl_faults killed-process 3

[ $action = names ] && exit 0
echo "$pass passed, $fail failed"
[ "$fail" -eq 0 ] && [ "$pass" -gt 0 ]
