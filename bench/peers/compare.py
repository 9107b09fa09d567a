#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures warpbag, torch and FBGEMM on the same ids and weights, on the CPU, and prints one table.

    compare.py PROGRAM LIBRARY [--rounds 15] [--workloads NAME ...] [--optimizers rowwise_adagrad ...] [--output FILE]

In a round every library runs once, in an order that turns from round to round, so that what else the machine does falls on
all alike; ratios are taken within a round. Answers are compared before anything is measured.
"""
import argparse
import json
import math
import multiprocessing
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import torch

import rivals
from rivals import Fbgemm, Torch, Unsupported, Warpbag
from workload import load

# Arguments of `warpbag bench`. Batches of the largest are cut, so that torch's gradients fit in memory.
WORKLOADS = {
    "fbgemm-default": ["fbgemm-default"],
    "fbgemm-large": ["fbgemm-large", "--batch", "8192"],
    "cuembed-readme": ["cuembed-readme", "--batch", "8192"],
    "cuembed-sweep[66]": ["cuembed-sweep[66]"],
    "cuembed-sweep[67]": ["cuembed-sweep[67]"],
    "cuembed-sweep[76]": ["cuembed-sweep[76]"],
    "cuembed-sweep[77]": ["cuembed-sweep[77]", "--batch", "8192"],
    "dynamicemb": ["dynamicemb", "--batch", "32768"],
    "dlrm-v2": ["dlrm-v2", "--batch", "2048"],
    "tiny-tables[0]": ["tiny-tables[0]"],
    "tiny-tables[1]": ["tiny-tables[1]"],
    "tiny-tables[2]": ["tiny-tables[2]"],
    "adversarial[0]": ["adversarial[0]"],
    "adversarial[1]": ["adversarial[1]"],
    "adversarial[2]": ["adversarial[2]"],
    "adversarial[6]": ["adversarial[6]"],
}
MEMORY = ["--memory", "2"]
NUM_BATCHES = 3
TOLERANCE = {"f32": 1e-4, "f16": 2e-2, "bf16": 1e-1}


def make_rivals(arguments, workload, optimizer):
    weights = workload.make_weights()
    made = [Warpbag(arguments.library, workload, weights, optimizer, arguments.threads)]
    for kind in (Torch, Fbgemm):
        try:
            made.append(kind(workload, weights, optimizer))
        except Unsupported as reason:
            print(f"{workload.name}: no {kind.name}: {reason}", file=sys.stderr)
    return made


# Optimizers whose first step divides a gradient by its own size: a sum that is all but zero, rounded otherwise, moves its element a
# whole learning rate elsewhere. So many elements may.
ELEMENTWISE = {"adagrad": 1e-4, "adam": 1e-4}


def greatest_difference(ours, theirs, excused=0.0):
    """Over all elements but a share that is excused, relative to the greatest element."""
    worst = 0.0
    for a, b in zip(ours, theirs):
        if a.numel() == 0:
            continue
        scale = max(float(b.float().abs().max()), 1e-30)
        differences = (a.float() - b.float()).abs().flatten()
        rank = differences.numel() - int(excused * differences.numel())
        greatest = differences.max() if rank == differences.numel() else differences.kthvalue(rank).values
        worst = max(worst, float(greatest) / scale)
    return worst


def check_answers(workload, libraries, optimizer):
    """Forward and one training step on the first batch; they warm up too. Returns the greatest relative difference."""
    batch = workload.batches[0]
    ours, worst = None, 0.0
    for library in libraries:
        library.set_batch(batch)
        outputs = [output.detach().clone() for output in library.forward(batch)]
        library.forward(batch, train=True)
        library.backward(batch)
        touched = []
        for t, feature in enumerate(batch.features):
            touched.append(library.weight(t)[feature.ids[:10000]])
        if ours is None:
            ours = (outputs, touched)
            continue
        worst = max(worst, greatest_difference(ours[0], outputs), greatest_difference(ours[1], touched, ELEMENTWISE.get(optimizer, 0.0)))
    if worst > TOLERANCE[workload.dtype]:
        raise SystemExit(f"{workload.name}: answers differ by {worst:.2e}")
    return worst


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def timed(clock, call):
    start = clock()
    call()
    return clock() - start


def measure(workload, libraries, rounds, clock):
    """times[call][library] = seconds of each round."""
    times = {call: {library.name: [] for library in libraries} for call in ("forward", "backward")}
    for turn in range(rounds):
        batch = workload.batches[turn % len(workload.batches)]
        order = libraries[turn % len(libraries):] + libraries[:turn % len(libraries)]
        for library in order:
            library.set_batch(batch)
            times["forward"][library.name].append(timed(clock, lambda: library.forward(batch)))
            library.forward(batch, train=True)
            times["backward"][library.name].append(timed(clock, lambda: library.backward(batch)))
    return times


def summarize(times):
    """Medians in ms, and of each rival the ratio to warpbag: median and quartiles over the rounds, and of the least times."""
    ours = times["warpbag"]
    result = {"ms": {}, "ratio": {}}
    for name, seconds in times.items():
        result["ms"][name] = 1e3 * statistics.median(seconds)
        if name == "warpbag":
            continue
        ratios = sorted(b / a for a, b in zip(ours, seconds))
        low, middle, high = statistics.quantiles(ratios, n=4)
        result["ratio"][name] = {"median": middle, "low": low, "high": high, "of_least": min(seconds) / min(ours)}
    return result


def row(name, call, result):
    cells = [f"{name:<20} {call:<9}"]
    for library in ("warpbag", "torch", "FBGEMM"):
        cells.append(f"{result['ms'][library]:10.3f}" if library in result["ms"] else f"{'-':>10}")
    for library in ("torch", "FBGEMM"):
        ratio = result["ratio"].get(library)
        cells.append(f"{ratio['median']:6.2f} ({ratio['low']:.2f}..{ratio['high']:.2f}) {ratio['of_least']:6.2f}"
                     if ratio else f"{'-':>22}")
    return "  ".join(cells)


def print_means(results):
    for optimizer in sorted({result["optimizer"] for result in results}):
        for call in ("forward", "backward"):
            for library in ("torch", "FBGEMM"):
                ratios = {result["name"]: result[call]["ratio"][library] for result in results
                          if result["optimizer"] == optimizer and library in result[call]["ratio"]}
                if not ratios:
                    continue
                medians = {name: ratio["median"] for name, ratio in ratios.items()}
                worst = min(medians, key=medians.get)
                means = [math.exp(statistics.fmean(math.log(ratio[key]) for ratio in ratios.values()))
                         for key in ("median", "of_least")]
                print(f"geometric mean, {call} ({optimizer}): {means[0]:.2f}x {library} (least times: {means[1]:.2f}x) over "
                      f"{len(medians)} workloads; worst {medians[worst]:.2f}x on {worst}")


def compare(arguments, name, optimizer):
    """The result of one workload."""
    torch.set_num_threads(arguments.threads)
    workload = load(arguments.program, [*WORKLOADS[name], *MEMORY, "--optimizer", optimizer], NUM_BATCHES)
    libraries = make_rivals(arguments, workload, optimizer)
    difference = check_answers(workload, libraries, optimizer)
    times = measure(workload, libraries, arguments.rounds, CLOCKS[arguments.clock])
    result = {"name": name, "description": workload.description, "optimizer": optimizer, "difference": difference,
              "lookups": workload.lookups(), **{call: summarize(times[call]) for call in times}}
    for call in times:
        print(row(name, call, result[call]), flush=True)
    for library in libraries:
        library.close()
    return result


def in_own_process(function, *arguments):
    """A heap that one workload has grown and torn stays as large as it was: the next one starts with a new process."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("library")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall",
                        help="cpu: of the process; for a machine that is busy with other work, with --threads 1")
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--optimizers", nargs="+", default=["rowwise_adagrad"], choices=list(rivals.OPTIMIZER_NUMBERS))
    parser.add_argument("--output")
    arguments = parser.parse_args()

    print(f"{'workload':<20} {'call':<9}  {'warpbag':>10}  {'torch':>10}  {'FBGEMM':>10}  torch / warpbag, of least "
          "times  FBGEMM / warpbag")
    results = []
    for optimizer in arguments.optimizers:
        for name in arguments.workloads:
            try:
                results.append(in_own_process(compare, arguments, name, optimizer))
            except BrokenProcessPool:
                print(f"{name}: its process was killed, perhaps for memory", file=sys.stderr, flush=True)
    print_means(results)
    if arguments.output:
        with open(arguments.output, "w") as file:
            json.dump({"torch": torch.__version__, "threads": arguments.threads, "clock": arguments.clock, "rounds": arguments.rounds,
                       "results": results}, file, indent=1)


if __name__ == "__main__":
    main()
