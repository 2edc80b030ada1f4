"""Attention and linear layers as this library computes them against torch's own, forward and backward.

Run: python benchmarks/operations.py [--rounds 9]
Prints, for shapes of a masked autoencoder on ViT-B (16 pictures of 224 pixels), median times of both and their ratio
with its spread, measured in turns. Use it to see whether the choices in `parts/ops` fit another machine.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from unmask.parts.ops.attention import _Explicit
from unmask.parts.ops.linear import HalfLinear

ATTENTION = {"encoder": (16, 12, 50, 64), "decoder": (16, 16, 197, 32), "small decoder": (64, 4, 65, 16)}
LINEAR = {
    "encoder, wide": (800, 768, 3072),
    "encoder, narrow": (800, 3072, 768),
    "decoder, wide": (3152, 512, 2048),
    "decoder, narrow": (3152, 2048, 512),
}
HALF = torch.bfloat16


def pair_for_attention(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[list[Tensor], list[Callable]]:
    b, heads, n, d = shape
    packed = torch.randn(b, n, 3, heads, d, dtype=dtype, requires_grad=True)

    def with_(function: Callable) -> Callable[[Tensor], Tensor]:
        return lambda x: function(*x.permute(2, 0, 3, 1, 4))

    return [packed], [with_(_Explicit.apply), with_(F.scaled_dot_product_attention)]


def pair_for_linear(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[list[Tensor], list[Callable]]:
    rows, inputs, outputs = shape
    tensors = [
        torch.randn(*size, dtype=dtype, requires_grad=True) for size in ((rows, inputs), (outputs, inputs), (outputs,))
    ]
    return tensors, [HalfLinear.apply, F.linear]


def seconds(function: Callable, tensors: list[Tensor]) -> float:
    """One forward and backward pass."""
    began = time.perf_counter()
    result = function(*tensors)
    torch.autograd.grad(result, tensors, torch.ones_like(result))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    cases = [
        ("attention", name, pair_for_attention(shape, kind), kind)
        for name, shape in ATTENTION.items()
        for kind in (HALF, torch.float32)
    ]
    cases += [("linear", name, pair_for_linear(shape, HALF), HALF) for name, shape in LINEAR.items()]
    for what, name, (tensors, functions), kind in cases:
        times: list[list[float]] = [[], []]
        for _ in range(rounds):
            for function, row in zip(functions, times, strict=True):
                row.append(seconds(function, tensors))
        ratios = [theirs / ours for ours, theirs in zip(*times, strict=True)]
        ours, theirs = (statistics.median(row) * 1e3 for row in times)
        print(
            f"{what:10}{name:17}{str(kind).removeprefix('torch.'):9} here {ours:6.1f} ms, torch {theirs:6.1f} ms:"
            f" {statistics.median(ratios):.2f}x as fast ({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
