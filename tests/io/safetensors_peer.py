#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Python writes a file, warpbag copies it, the Python package safetensors reads both.

    safetensors_peer.py PATH_OF_safetensors_copy
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy
import safetensors
import safetensors.numpy

SHAPES = {"scalar": [], "vector": [5], "matrix": [3, 4], "none": [0, 7], "deep": [2, 1, 3, 1]}
METADATA = {"format": "np", "note": 'line\nbreak "\u4e2d"'}


def file_of_package():
    """Made by the package; numpy has no bfloat16."""
    tensors = {}
    for dtype in ("float16", "float32", "float64", "int32", "int64", "uint64"):
        for kind, shape in SHAPES.items():
            count = int(numpy.prod(shape))
            tensors[f"{dtype}/{kind} \u00e9"] = numpy.arange(count).reshape(shape).astype(dtype)
    return safetensors.numpy.save(tensors, METADATA)


def file_by_hand():
    """Made from the description of the format: bfloat16, offsets not in the order of the header."""
    header = {"second": {"dtype": "BF16", "shape": [2, 1], "data_offsets": [6, 10]},
              "first": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(range(10))


def check_copy(copy, content, folder):
    original = pathlib.Path(folder, "original.safetensors")
    copied = pathlib.Path(folder, "copied.safetensors")
    original.write_bytes(content)
    subprocess.run([copy, str(original), str(copied)], check=True)
    before = dict(safetensors.deserialize(content))
    after = dict(safetensors.deserialize(copied.read_bytes()))
    assert after == before, f"the copy differs: {after.keys()}, {before.keys()}"
    with safetensors.safe_open(str(original), framework="numpy") as expected:
        with safetensors.safe_open(str(copied), framework="numpy") as opened:
            assert opened.metadata() == expected.metadata(), opened.metadata()
    return len(after)


def main():
    with tempfile.TemporaryDirectory() as folder:
        count = sum(check_copy(sys.argv[1], content, folder)
                    for content in (file_of_package(), file_by_hand()))
    assert count == 32, count
    print(f"{count} tensors are the same after warpbag's reader and writer")


if __name__ == "__main__":
    main()
