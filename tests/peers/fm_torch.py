#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The factorization machine of `warpbag train`, in PyTorch, from the same first weights on the same batches.

    fm_torch.py PROGRAM [--steps 200] [--optimizer adagrad] [train options of the program ...]

Runs the program twice (once for its first weights, once to train), trains the same in torch, and compares the loss of
every step. Prints both validation AUCs. Exits with 1 when a loss differs by more than 1e-5 of itself.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors import safe_open


def run(program, arguments):
    done = subprocess.run([program, "train", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def read(file):
    """All tensors of a safetensors file and its metadata."""
    with safe_open(file, framework="pt") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata()


class FactorizationMachine(torch.nn.Module):
    """logit = bias + sum_f w_f + sum_{f<g} <v_f, v_g> over pooled first-order weights w_f and vectors v_f."""

    def __init__(self, machine, weights):
        super().__init__()
        self.features = machine["features"]
        self.tables = [table["name"] for table in machine["tables"]]
        names = [name + part for name in self.tables for part in (".vector", ".linear")] + ["bias"]
        # A module's parameter names have no dots.
        self.rows = torch.nn.ParameterDict(
            {name.replace(".", "/"): torch.nn.Parameter(weights[name + ".weight"]) for name in names})

    def pooled(self, batch, prefix, part):
        for feature in self.features:
            name = f"{prefix}.{feature['name']}"
            yield torch.nn.functional.embedding_bag(
                batch[name + ".ids"], self.rows[f"{self.tables[feature['table']]}/{part}"], batch[name + ".offsets"],
                mode=feature["pooling"], per_sample_weights=batch.get(name + ".weights"), include_last_offset=True)

    def forward(self, batch, prefix):
        vectors = list(self.pooled(batch, prefix, "vector"))
        logit = self.rows["bias"][0, 0] + torch.stack(list(self.pooled(batch, prefix, "linear"))).sum(0)[:, 0]
        for f, vector in enumerate(vectors):
            for other in vectors[f + 1:]:
                logit = logit + (vector * other).sum(1)
        return logit


def make_optimizer(model, options):
    if options["kind"] == "sgd":
        return torch.optim.SGD(model.parameters(), lr=options["learning_rate"], momentum=options["momentum"])
    if options["kind"] == "adagrad":
        return torch.optim.Adagrad(model.parameters(), lr=options["learning_rate"], eps=options["eps"],
                                   initial_accumulator_value=options["initial_accumulator"])
    sys.exit(f"no peer for optimizer {options['kind']}: on rows that a batch does not touch torch's differs")


def auc(scores, labels):
    """By ranks; ties share the mean of theirs."""
    values, inverse, counts = torch.unique(scores, return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    ranks = (last - (counts - 1) / 2)[inverse]
    positive = labels > 0.5
    p, n = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - p * (p + 1) / 2) / (p * n))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--steps", type=int, default=200)
    known, train_options = parser.parse_known_args()
    torch.set_num_threads(1)

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        run(known.program, [*train_options, "--steps", "0", "--checkpoint", str(folder / "first"), "--json"])
        events = run(known.program, [*train_options, "--steps", str(known.steps), "--json", "--log-every", "1",
                                     "--dump-batches", str(folder / "batches")])
        weights, metadata = read(folder / "first" / "checkpoint.safetensors")
        batches, _ = read(folder / "batches")
    losses = [event["loss"] for event in events if event["event"] == "step"]
    result = events[-1]
    assert len(losses) == known.steps, f"{len(losses)} losses for {known.steps} steps"

    machine = json.loads(metadata["machine"])
    model = FactorizationMachine(machine, weights)
    optimizer = make_optimizer(model, machine["optimizer"])
    worst = 0.0
    for step, ours in enumerate(losses):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            model(batches, f"train.{step}"), batches[f"train.{step}.labels"])
        loss.backward()
        optimizer.step()
        worst = max(worst, abs(ours - loss.item()) / loss.item())
    with torch.no_grad():
        theirs = auc(model(batches, "validation.0"), batches["validation.0.labels"])
    print(f"{known.steps} steps of {machine['optimizer']['kind']}: losses {losses[0]:.6f} to {losses[-1]:.6f}, "
          f"greatest relative difference {worst:.2e}; validation AUC: warpbag {result['validation_auc']:.6f}, "
          f"torch {theirs:.6f}")
    return 1 if worst > 1e-5 or abs(theirs - result["validation_auc"]) > 1e-4 else 0


if __name__ == "__main__":
    sys.exit(main())
