"""Numbers without pattern that every machine computes alike, for comparisons with what other code said of them."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def recorded(test: str, name: str) -> dict[str, Any]:
    """What a reference computed: the JSON file of that name beside the test file."""
    return json.loads((Path(test).parent / name).read_text())


def wave(n: int, start: float) -> Tensor:
    i = torch.arange(n, dtype=torch.float64)
    return torch.sin(0.618 * i * i + i + start)


def formula_weights(shapes: dict[str, Any]) -> dict[str, Tensor]:
    """A tensor for every name, of a size that keeps activations near one."""
    tensors = {}
    for place, name in enumerate(sorted(shapes)):
        shape = shapes[name]
        values = wave(math.prod(shape), place).reshape(shape)
        if name.endswith("bias"):
            values = 0.1 * values
        elif name.endswith("weight"):
            values = 1 + 0.1 * values if len(shape) == 1 else values * (2 / math.prod(shape[1:])) ** 0.5
        tensors[name] = values.float()
    return tensors


def formula_noise(b: int, n: int) -> Tensor:
    """Distinct numbers in [0, 1)."""
    return ((torch.arange(b * n, dtype=torch.float64) + 1) * 0.6180339887498949 % 1.0).reshape(b, n).float()


def formula_image(b: int, side: int) -> Tensor:
    image = wave(b * 3 * side * side, 0.5).reshape(b, 3, side, side).float()
    return image * (1 + torch.linspace(0, 2, side)) + torch.linspace(-1, 1, side)[:, None]


def pictures(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal noise."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
