"""Gradients along the sphere."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


class Tangent(torch.autograd.Function):
    """Rows as they are; their gradients lose what lies along the rows, which must have length 1.

    So a step of gradient descent does not change their lengths, to first order.
    """

    @staticmethod
    def forward(ctx: Any, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        ctx.save_for_backward(rows)
        return rows.view_as(rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        (rows,), (gradient,) = ctx.saved_tensors, gradients
        return gradient - (gradient * rows).sum(-1, keepdim=True) * rows


def tangent(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """`Tangent` as a function."""
    return Tangent.apply(rows)  # type: ignore[return-value]
