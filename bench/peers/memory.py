#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Peak memory of training steps: of the process, beside what its tables and its batch take.

    memory.py PROGRAM

The goal: no more than tables and optimizer states, 10 % of them, and the buffers of the batch.
"""
import json
import subprocess
import sys

WORKLOADS = [["fbgemm-default"], ["dlrm-v2", "--memory", "2"],
             ["custom", "--rows", "4000000", "--dim", "128", "--batch", "8192"],
             ["custom", "--rows", "4000000", "--dim", "64", "--batch", "8192", "--optimizer", "adam"]]
MIB = 1 << 20


def main():
    program = sys.argv[1]
    print(f"{'workload':<60} {'tables':>9} {'batch':>8} {'workspace':>9} {'peak MiB':>9}  peak / (tables * 1.1 + batch)")
    for arguments in WORKLOADS:
        # Memory bandwidth is given, so that none is taken to measure it.
        told = subprocess.run([program, "bench", *arguments, "--call", "train_step", "--iterations", "3", "--bandwidth",
                               "10", "--json"], stdout=subprocess.PIPE, check=True)
        result = json.loads(told.stdout)["benchmarks"][0]
        tables, batch = result["table_bytes"], result["batch_bytes"]
        peak = result["peak_resident_bytes"]
        print(f"{result['label'][:60]:<60} {tables / MIB:9.1f} {batch / MIB:8.1f} {result['workspace_bytes'] / MIB:9.1f} "
              f"{peak / MIB:9.1f}  {peak / (1.1 * tables + batch):.3f}")


if __name__ == "__main__":
    main()
