#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Samples a second of `warpbag train` and of the same factorization machine in torch, on the same batches.

    machine.py PROGRAM DATA [--rounds 5] [--threads 2] [--steps 500] [--output FILE]

One after the other in turns. torch trains with dense and with sparse gradients; the faster counts. Reading the data, drawing
batches and validating are not in either time of torch; warpbag's own figure includes drawing its batches.
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "peers"))
from fm_torch import FactorizationMachine, make_optimizer, read, run  # noqa: E402


class Machine(FactorizationMachine):
    """With sparse gradients where asked for."""

    def __init__(self, machine, weights, sparse):
        super().__init__(machine, weights)
        self.sparse = sparse

    def pooled(self, batch, prefix, part):
        for feature in self.features:
            name = f"{prefix}.{feature['name']}"
            yield torch.nn.functional.embedding_bag(
                batch[name + ".ids"], self.rows[f"{self.tables[feature['table']]}/{part}"], batch[name + ".offsets"],
                mode=feature["pooling"], per_sample_weights=batch.get(name + ".weights"), include_last_offset=True,
                sparse=self.sparse)


def train(model, optimizer, batches, steps):
    start = time.perf_counter()
    samples = 0
    for step in range(steps):
        labels = batches[f"train.{step}.labels"]
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(batches, f"train.{step}"), labels)
        loss.backward()
        optimizer.step()
        samples += len(labels)
    return samples / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--output")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    options = ["--data", arguments.data, "--threads", str(arguments.threads), "--steps", str(arguments.steps), "--json"]

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        first = ["--data", arguments.data, "--json"]
        run(arguments.program, [*first, "--steps", "0", "--checkpoint", str(folder / "first")])
        run(arguments.program, [*options, "--dump-batches", str(folder / "batches")])
        weights, metadata = read(folder / "first" / "checkpoint.safetensors")
        batches, _ = read(folder / "batches")
    machine = json.loads(metadata["machine"])

    rates = {"warpbag": [], "torch, dense": [], "torch, sparse": []}
    for _ in range(arguments.rounds):
        rates["warpbag"].append(run(arguments.program, options)[-1]["samples_per_second"])
        for name, sparse in (("torch, dense", False), ("torch, sparse", True)):
            model = Machine(machine, {key: value.clone() for key, value in weights.items()}, sparse)
            rates[name].append(train(model, make_optimizer(model, machine["optimizer"]), batches, arguments.steps))
    best = max(("torch, dense", "torch, sparse"), key=lambda name: statistics.median(rates[name]))
    ratios = sorted(a / b for a, b in zip(rates["warpbag"], rates[best]))
    for name, of_rounds in rates.items():
        print(f"{name:<14} {statistics.median(of_rounds):>12,.0f} samples/s (best {max(of_rounds):,.0f})")
    print(f"warpbag / {best}: {statistics.median(ratios):.2f} ({ratios[0]:.2f}..{ratios[-1]:.2f}), best of each "
          f"{max(rates['warpbag']) / max(rates[best]):.2f}")
    if arguments.output:
        pathlib.Path(arguments.output).write_text(json.dumps({"threads": arguments.threads, "rates": rates}, indent=1))


if __name__ == "__main__":
    main()
