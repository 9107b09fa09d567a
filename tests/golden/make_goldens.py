#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes embedding_bag.json and optimizers.json: what torch answers for every combination of options that it supports.

    scripts/python_peers && build/python/bin/python3 tests/golden/make_goldens.py

The files are committed; this script is run again only to add cases. Values are fp32 and printed so that they read back exactly.
scale_grad_by_freq is not taken from torch.nn.functional.embedding_bag, whose CPU kernel uses wrong counts (pytorch#190063),
but from autograd on one-hot x matrix, divided by the counts.
"""
import itertools
import json
import math
import pathlib

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
ROWS, DIM = 7, 5
BAGS = [[1, 4, 1], [], [6], [0, 2, 2, 2, 5], [4], [3, 3]]  # repeats, an empty bag, the last row
FIXED = [[1, 4, 1], [0, 6, 2], [5, 5, 5], [3, 2, 4]]
torch.manual_seed(20)


def values(*shape):
    return torch.randn(*shape, dtype=torch.float32)


def flat(tensor):
    if tensor is None:
        return None
    return [float(str(x)) for x in tensor.detach().reshape(-1).numpy()]  # the shortest digits that read back


def offsets_of(bags):
    return [0] + list(itertools.accumulate(len(bag) for bag in bags))


def frequency_gradient(ids, bags, mode, weights, padding, out_grad):
    """d loss / d weight by one-hot x matrix, each row divided by its count among the ids."""
    matrix = torch.zeros(len(bags), ROWS, dtype=torch.float64)
    position = 0
    for bag, members in enumerate(bags):
        live = [i for i in members if i != padding]
        for member in members:
            if member != padding:
                scale = float(weights[position]) if weights is not None else 1.0
                matrix[bag, member] += scale / (len(live) if mode == "mean" else 1)
            position += 1
    counts = torch.bincount(ids, minlength=ROWS).clamp(min=1).to(torch.float64)
    return ((matrix.T @ out_grad.to(torch.float64)) / counts[:, None]).to(torch.float32)


def bag_case(mode, layout, weighted, padding, freq, max_norm, norm_type):
    bags = FIXED if layout == "fixed" else BAGS
    ids = torch.tensor([i for bag in bags for i in bag])
    initial = values(ROWS, DIM)
    weight = initial.clone().requires_grad_()
    sample_weights = values(len(ids)).requires_grad_() if weighted else None
    options = dict(mode=mode, padding_idx=padding, max_norm=max_norm, norm_type=norm_type)
    if layout == "fixed":
        shape = (len(FIXED), len(FIXED[0]))
        psw = None if sample_weights is None else sample_weights.reshape(shape)
        output = F.embedding_bag(ids.reshape(shape), weight, per_sample_weights=psw, **options)
        offsets = None
    else:
        last = layout == "csr_last"
        offsets = offsets_of(bags) if last else offsets_of(bags)[:-1]
        output = F.embedding_bag(ids, weight, torch.tensor(offsets), per_sample_weights=sample_weights,
                                 include_last_offset=last, **options)
    out_grad = values(*output.shape)
    output.backward(out_grad)
    gradient = weight.grad
    if freq:
        gradient = frequency_gradient(ids, bags, mode, sample_weights, padding, out_grad)
    return case(mode, layout, ids, offsets, len(bags), sample_weights, padding, freq, max_norm, norm_type, initial, weight,
                output, out_grad, gradient)


def embedding_case(padding, freq, max_norm, norm_type):
    ids = torch.tensor([i for bag in BAGS for i in bag])
    initial = values(ROWS, DIM)
    weight = initial.clone().requires_grad_()
    # freq stays off in torch and is applied below: its CPU kernel is right here, but one way is enough.
    output = F.embedding(ids, weight, padding_idx=padding, max_norm=max_norm, norm_type=norm_type)
    out_grad = values(*output.shape)
    output.backward(out_grad)
    gradient = weight.grad.clone()
    if freq:
        gradient /= torch.bincount(ids, minlength=ROWS).clamp(min=1)[:, None]
    return case("none", "fixed", ids, None, len(ids), None, padding, freq, max_norm, norm_type, initial, weight, output, out_grad,
                gradient)


def case(mode, layout, ids, offsets, num_bags, sample_weights, padding, freq, max_norm, norm_type, initial, weight, output,
         out_grad, gradient):
    p = "inf" if math.isinf(norm_type) else norm_type
    name = f"{mode}_{layout}" + ("_weighted" if sample_weights is not None else "") + ("_padding" if padding is not None else "")
    name += ("_freq" if freq else "") + (f"_maxnorm_p{p}" if max_norm is not None else "")
    return dict(name=name, mode=mode, ids=ids.tolist(), offsets=offsets, num_bags=num_bags,
                include_last_offset=layout == "csr_last", weights=flat(sample_weights), padding_idx=padding,
                scale_grad_by_freq=freq, max_norm=max_norm, norm_type=p, rows=ROWS, dim=DIM, weight=flat(initial),
                output_gradient=flat(out_grad), weight_after_forward=flat(weight), output=flat(output), gradient=flat(gradient),
                weight_gradient=flat(sample_weights.grad) if sample_weights is not None else None)


def bag_cases():
    for mode, layout, weighted, padding, freq in itertools.product(
            ["sum", "mean", "max"], ["fixed", "csr", "csr_last"], [False, True], [None, 2], [False, True]):
        if weighted and mode != "sum":
            continue  # torch: per_sample_weights needs mode sum
        if freq and mode == "max":
            continue  # torch refuses it
        yield bag_case(mode, layout, weighted, padding, freq, None, 2.0)
    for norm_type in [0.5, 1.0, 2.0, 3.0, math.inf]:
        for mode in ["sum", "mean", "max"]:
            yield bag_case(mode, "csr_last", False, None, False, 1.5, norm_type)
        yield embedding_case(None, False, 1.5, norm_type)
    for padding, freq in itertools.product([None, 4], [False, True]):
        yield embedding_case(padding, freq, None, 2.0)


def optimizer_case(name, make, options, touched):
    """Five steps on one table; `touched` lists the rows of each step (all rows for the dense optimizers)."""
    initial = values(ROWS, DIM)
    weight = initial.clone().requires_grad_()
    optimizer = make([weight])
    steps = []
    for rows in touched:
        gradient = values(len(rows), DIM)
        if len(rows) == ROWS:
            weight.grad = gradient.clone()
        else:
            weight.grad = torch.sparse_coo_tensor(torch.tensor([rows]), gradient, (ROWS, DIM)).coalesce()
        optimizer.step()
        steps.append(dict(rows=rows, gradient=flat(gradient)))
    return dict(name=name, options=options, rows=ROWS, dim=DIM, weight=flat(initial), steps=steps, result=flat(weight))


def optimizer_cases():
    everything = [list(range(ROWS))] * 5
    some = [[0, 3, 6], [1, 3], [6], [0, 1, 2, 3, 4], [3]]
    o = torch.optim
    yield optimizer_case("sgd", lambda p: o.SGD(p, lr=0.1), dict(kind="sgd", lr=0.1), everything)
    yield optimizer_case("sgd_sparse", lambda p: o.SGD(p, lr=0.1), dict(kind="sgd", lr=0.1), some)
    yield optimizer_case("sgd_momentum_decay", lambda p: o.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05),
                         dict(kind="sgd", lr=0.1, momentum=0.9, decay="l2", weight_decay=0.05), everything)
    yield optimizer_case("adagrad", lambda p: o.Adagrad(p, lr=0.1, eps=1e-8, initial_accumulator_value=0.1),
                         dict(kind="adagrad", lr=0.1, eps=1e-8, initial_accumulator=0.1), everything)
    yield optimizer_case("adagrad_sparse", lambda p: o.Adagrad(p, lr=0.1, eps=1e-8), dict(kind="adagrad", lr=0.1, eps=1e-8), some)
    yield optimizer_case("adagrad_decay", lambda p: o.Adagrad(p, lr=0.1, eps=1e-8, weight_decay=0.05),
                         dict(kind="adagrad", lr=0.1, eps=1e-8, decay="l2", weight_decay=0.05), everything)
    yield optimizer_case("adam", lambda p: o.Adam(p, lr=0.01), dict(kind="adam", lr=0.01), everything)
    yield optimizer_case("adam_decay", lambda p: o.Adam(p, lr=0.01, weight_decay=0.05),
                         dict(kind="adam", lr=0.01, decay="l2", weight_decay=0.05), everything)
    yield optimizer_case("adam_sparse", lambda p: o.SparseAdam(p, lr=0.01), dict(kind="adam", lr=0.01), some)
    yield optimizer_case("adamw", lambda p: o.AdamW(p, lr=0.01, weight_decay=0.05),
                         dict(kind="adamw", lr=0.01, decay="decoupled", weight_decay=0.05), everything)


def write(path, cases):
    cases = list(cases)
    with open(HERE / path, "w", encoding="utf-8") as file:
        file.write('{"torch": "%s", "cases": [\n' % torch.__version__)
        file.write(",\n".join(json.dumps(c) for c in cases))
        file.write("\n]}\n")
    print(path, len(cases), "cases")


if __name__ == "__main__":
    write("embedding_bag.json", bag_cases())
    write("optimizers.json", optimizer_cases())
