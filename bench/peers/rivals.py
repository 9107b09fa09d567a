# SPDX-License-Identifier: Apache-2.0
"""warpbag, torch and FBGEMM as objects of one shape: forward(batch) and step(batch), on the same weights.

Each has its own copy of the weights, allocated its own way. forward() returns one pooled tensor per table; backward() takes
the gradients of the batch at hand and updates the rows, and follows a forward(..., train=True) that is not timed.
"""
import ctypes

import torch
import torch.nn.functional as functional

LEARNING_RATE = 0.01
EPS = 1e-8
TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
TYPE_NUMBERS = {"f32": 0, "f16": 1, "bf16": 2}          # warpbag::dtype
POOLING_NUMBERS = {"sum": 0, "mean": 1, "max": 2, "none": 3}  # warpbag::pooling_mode
OPTIMIZER_NUMBERS = {"sgd": 0, "adagrad": 1, "rowwise_adagrad": 2, "adam": 3}  # warpbag::optimizer_kind


class Unsupported(Exception):
    """A library does not have what the workload needs."""


class Bags(ctypes.Structure):
    _fields_ = [("ids", ctypes.c_void_p), ("offsets", ctypes.c_void_p), ("weights", ctypes.c_void_p),
                ("num_ids", ctypes.c_int64), ("num_bags", ctypes.c_int64), ("hotness", ctypes.c_int64)]


def pointers(tensors):
    return (ctypes.c_void_p * len(tensors))(*[tensor.data_ptr() for tensor in tensors])


class Warpbag:
    """The library through C calls (warpbag_peer.cpp)."""

    name = "warpbag"

    def __init__(self, library, workload, weights, optimizer, threads):
        self.lib = ctypes.CDLL(library)
        self.lib.peer_create.restype = ctypes.c_void_p
        self.lib.peer_last_error.restype = ctypes.c_char_p
        self.workload = workload
        count = len(workload.tables)
        numbers = ctypes.c_int64 * count
        self.peer = ctypes.c_void_p(self.lib.peer_create(
            count, numbers(*[table.rows for table in workload.tables]), numbers(*[table.dim for table in workload.tables]),
            pointers(weights), TYPE_NUMBERS[workload.dtype], POOLING_NUMBERS[workload.pooling],
            OPTIMIZER_NUMBERS[optimizer], ctypes.c_float(LEARNING_RATE), ctypes.c_float(EPS), threads))
        if not self.peer:
            raise RuntimeError(self.lib.peer_last_error().decode())
        self.outputs = None

    def set_batch(self, batch):
        bags = (Bags * len(batch.features))()
        for bag, feature in zip(bags, batch.features):
            bag.ids = feature.ids.data_ptr()
            bag.offsets = feature.offsets.data_ptr()
            bag.weights = feature.weights.data_ptr() if feature.weights is not None else None
            bag.num_ids, bag.num_bags, bag.hotness = len(feature.ids), batch.size, feature.hotness
        if self.outputs is None or any(a.shape != b.shape for a, b in zip(self.outputs, batch.gradients)):
            self.outputs = [torch.empty_like(gradient) for gradient in batch.gradients]
        self.lib.peer_set_batch(self.peer, bags, pointers(self.outputs), pointers(batch.gradients))

    def check(self, failed):
        if failed:
            raise RuntimeError(self.lib.peer_last_error().decode())

    def forward(self, batch, train=False):
        self.check(self.lib.peer_forward(self.peer))
        return self.outputs

    def backward(self, batch):
        self.check(self.lib.peer_backward(self.peer))

    def weight(self, table):
        shape = self.workload.tables[table]
        copy = torch.empty(shape.rows, shape.dim, dtype=TYPES[self.workload.dtype])
        self.check(self.lib.peer_copy_weight(self.peer, table, ctypes.c_void_p(copy.data_ptr())))
        return copy

    def close(self):
        self.lib.peer_destroy(self.peer)


class RowwiseAdagrad:
    """FBGEMM's exact row-wise Adagrad on torch's sparse gradients, since torch.optim has none: coalesce, then index.

    The fewest torch calls that compute it: state[row] += mean(g^2); row -= lr * g / (sqrt(state) + eps).
    """

    def __init__(self, parameters):
        self.parameters = parameters
        self.states = [torch.zeros(len(parameter)) for parameter in parameters]

    def zero_grad(self):
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self):
        for parameter, state in zip(self.parameters, self.states):
            gradient = parameter.grad.coalesce()
            rows, values = gradient.indices()[0], gradient.values()
            sums = state[rows].add_(values.float().square().mean(1))
            state[rows] = sums
            scale = sums.sqrt_().add_(EPS).reciprocal_().mul_(-LEARNING_RATE)
            parameter.index_add_(0, rows, (values * scale[:, None]).to(parameter.dtype))


class Torch:
    """torch.nn.functional.embedding_bag (embedding where nothing is pooled), sparse gradients, an optimizer."""

    name = "torch"

    def __init__(self, workload, weights, optimizer):
        self.workload = workload
        self.tables = [weight.clone().requires_grad_() for weight in weights]
        if optimizer == "rowwise_adagrad":
            self.optimizer = RowwiseAdagrad(self.tables)
        elif optimizer == "adagrad":
            self.optimizer = torch.optim.Adagrad(self.tables, lr=LEARNING_RATE, eps=EPS)
        elif optimizer == "adam":
            # SparseAdam adds eps to the root before it corrects it for the first steps, others after: so both are one at step 1.
            self.optimizer = torch.optim.SparseAdam(self.tables, lr=LEARNING_RATE, eps=EPS * (1 - 0.999) ** 0.5)
        elif optimizer == "sgd":
            self.optimizer = torch.optim.SGD(self.tables, lr=LEARNING_RATE)
        self.outputs = None

    def set_batch(self, batch):
        self.optimizer.zero_grad()

    def lookup(self, feature, table):
        if self.workload.pooling == "none":
            return functional.embedding(feature.ids, table, sparse=True)
        if feature.hotness > 0 and feature.weights is None:
            return functional.embedding_bag(feature.matrix, table, mode=self.workload.pooling, sparse=True)
        return functional.embedding_bag(feature.ids, table, feature.offsets, mode=self.workload.pooling, sparse=True,
                                        per_sample_weights=feature.weights, include_last_offset=True)

    def forward(self, batch, train=False):
        with torch.set_grad_enabled(train):
            self.outputs = [self.lookup(feature, table) for feature, table in zip(batch.features, self.tables)]
        return self.outputs

    def backward(self, batch):
        torch.autograd.backward(self.outputs, batch.gradients)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def weight(self, table):
        return self.tables[table].detach()

    def close(self):
        pass


class Fbgemm:
    """FBGEMM's split table-batched embeddings on the CPU: backward updates the rows (fused)."""

    name = "FBGEMM"

    def __init__(self, workload, weights, optimizer):
        from fbgemm_gpu.split_embedding_configs import EmbOptimType, SparseType
        from fbgemm_gpu.split_table_batched_embeddings_ops_common import BoundsCheckMode, EmbeddingLocation, PoolingMode
        from fbgemm_gpu.split_table_batched_embeddings_ops_training import (ComputeDevice,
                                                                            SplitTableBatchedEmbeddingBagsCodegen)
        # Nothing pooled is the sum of bags of one id.
        if workload.pooling not in ("sum", "mean", "none"):
            raise Unsupported(f"pooling {workload.pooling}")
        if workload.dtype not in ("f32", "f16"):
            raise Unsupported(f"rows of {workload.dtype}")
        if any(table.dim % 4 for table in workload.tables):
            raise Unsupported("dimensions that 4 does not divide")
        kinds = {"rowwise_adagrad": EmbOptimType.EXACT_ROWWISE_ADAGRAD, "adagrad": EmbOptimType.EXACT_ADAGRAD,
                 "sgd": EmbOptimType.EXACT_SGD}
        if optimizer not in kinds:
            raise Unsupported(f"{optimizer} on the CPU")
        self.workload = workload
        precision = SparseType.FP32 if workload.dtype == "f32" else SparseType.FP16
        self.module = SplitTableBatchedEmbeddingBagsCodegen(
            [(table.rows, table.dim, EmbeddingLocation.HOST, ComputeDevice.CPU) for table in workload.tables],
            optimizer=kinds[optimizer], learning_rate=LEARNING_RATE, eps=EPS, weights_precision=precision,
            output_dtype=precision, stochastic_rounding=False, bounds_check_mode=BoundsCheckMode.NONE,
            pooling_mode=PoolingMode.MEAN if workload.pooling == "mean" else PoolingMode.SUM)
        for to, weight in zip(self.module.split_embedding_weights(), weights):
            to.copy_(weight)
        self.output = None

    def set_batch(self, batch):
        if batch.joined is None:
            batch.join()

    def forward(self, batch, train=False):
        ids, offsets, weights, _ = batch.joined
        with torch.set_grad_enabled(train):
            self.output = self.module(ids, offsets, weights)
        return list(self.output.split([table.dim for table in self.workload.tables], dim=1))

    def backward(self, batch):
        self.output.backward(batch.joined[3])

    def weight(self, table):
        return self.module.split_embedding_weights()[table].detach()

    def close(self):
        pass
