# SPDX-License-Identifier: Apache-2.0
"""Workloads and batches that `warpbag bench --dump` wrote, as tensors."""
import collections
import dataclasses
import pathlib
import subprocess
import tempfile

import torch
from safetensors import safe_open

from rivals import TYPES

Table = collections.namedtuple("Table", "rows dim hotness")


@dataclasses.dataclass
class Feature:
    ids: torch.Tensor
    offsets: torch.Tensor  # [bags + 1]
    weights: torch.Tensor  # or None
    hotness: int           # 0: bags differ
    matrix: torch.Tensor   # the ids as [bags, hotness], or None


@dataclasses.dataclass
class Batch:
    size: int
    features: list
    gradients: list         # of each table's output, contiguous
    joined: tuple = None    # the same as one batch of all tables: ids, offsets, weights, gradients side by side

    def join(self):
        starts = [0]
        for feature in self.features:
            starts.append(starts[-1] + len(feature.ids))
        offsets = [feature.offsets[:-1] + start for feature, start in zip(self.features, starts)]
        weights = None
        if self.features[0].weights is not None:
            weights = torch.cat([feature.weights for feature in self.features])
        self.joined = (torch.cat([feature.ids for feature in self.features]),
                       torch.cat([*offsets, torch.tensor([starts[-1]])]), weights,
                       torch.cat(self.gradients, dim=1).contiguous())


@dataclasses.dataclass
class Workload:
    name: str
    description: str
    dtype: str
    pooling: str
    tables: list
    batches: list

    def lookups(self):
        return sum(len(feature.ids) for feature in self.batches[0].features)

    def make_weights(self):
        generator = torch.Generator().manual_seed(1)
        return [torch.empty(table.rows, table.dim).uniform_(-0.1, 0.1, generator=generator).to(TYPES[self.dtype])
                for table in self.tables]


def read_batch(file, seed):
    with safe_open(file, framework="pt") as opened:
        metadata, names = opened.metadata(), set(opened.keys())
        tables = [Table(*row) for row in opened.get_tensor("tables").tolist()]
        size = int(metadata["batch"])
        features = []
        for t, table in enumerate(tables):
            ids = opened.get_tensor(f"{t}.ids") if f"{t}.ids" in names else torch.empty(0, dtype=torch.int64)
            fixed = f"{t}.offsets" not in names
            offsets = torch.arange(size + 1) * table.hotness if fixed else opened.get_tensor(f"{t}.offsets")
            weights = opened.get_tensor(f"{t}.weights") if f"{t}.weights" in names else None
            features.append(Feature(ids, offsets, weights, table.hotness if fixed else 0,
                                    ids.view(size, table.hotness) if fixed else None))
    generator = torch.Generator().manual_seed(seed)
    gradients = []
    for feature, table in zip(features, tables):
        rows = len(feature.ids) if metadata["pooling"] == "none" else size
        gradient = torch.empty(rows, table.dim).uniform_(-0.01, 0.01, generator=generator)
        gradients.append(gradient.to(TYPES[metadata["dtype"]]))
    return metadata, tables, Batch(size, features, gradients)


def load(program, arguments, num_batches):
    """The workload of these arguments of `warpbag bench`, with batches of different ids."""
    batches = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1, num_batches + 1):
            file = str(pathlib.Path(folder) / "batch")
            subprocess.run([program, "bench", *arguments, "--seed", str(seed), "--dump", file], check=True)
            metadata, tables, batch = read_batch(file, seed)
            batches.append(batch)
    return Workload(metadata["name"], metadata["description"], metadata["dtype"], metadata["pooling"], tables, batches)
