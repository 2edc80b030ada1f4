"""Matrix products of linear layers in half precision on a CPU, arranged as its matrix units like them.

The libraries under torch choose badly for two kinds of shapes that transformers are made of (TFLOP/s in bf16 on two
cores with AMX, peak 2.9; `benchmarks/operations.py` measures it anywhere):

- few rows times a narrow weight, 800 x 3072 by 3072 x 768: 1.1, in two parts of 400 rows 1.8;
- weight gradients, whose first factor lies transposed in memory, 768 x 800 by 800 x 3072: 1.4, with the smaller factor
  copied the other way round first 2.1.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

HALF = torch.bfloat16
SMALL = 256  # narrower layers are left to torch: 417 pictures/s against 370 of a network of width 128
FEW_ROWS, NARROW = 1024, 1024  # up to so many rows and columns, a product is done in two parts
TURNED = 2  # measured: 2.6 ms for 3072 x 768 numbers, 0.8 ms for as many without a change of type
CACHED = 1 << 16  # numbers transposed at a time, so that both sides stay in the cache


def uses_half(x: Tensor, weight: Tensor) -> bool:
    """Whether a linear layer is computed in bfloat16 on a CPU, and is large enough for what is done here to pay."""
    if x.device.type != "cpu" or min(weight.shape) < SMALL:
        return False
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") == HALF
    return x.dtype == HALF


class HalfLinear(torch.autograd.Function):
    """x W' + b in bfloat16 with sums in float32; the gradients of W and b come as W's own type."""

    @staticmethod
    def forward(
        ctx, x: Float[Tensor, "*b k"], weight: Float[Tensor, "n k"], bias: Float[Tensor, "n"] | None
    ) -> Float[Tensor, "*b n"]:
        rows, half = _remembered(ctx, x, weight, bias)
        return _outputs(rows, half, bias).view(*x.shape[:-1], weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Float[Tensor, "*b n"]):  # type: ignore[override]
        rows, weight = ctx.saved_tensors
        gradient = gradient.reshape(-1, gradient.shape[-1])
        of_x = product(gradient, weight).view(ctx.like).to(ctx.kinds[0]) if ctx.needs_input_grad[0] else None
        return of_x, *_of_parameters(ctx, gradient, rows, 1)


class HalfLinearOfGelu(torch.autograd.Function):
    """As HalfLinear, of gelu(x): the activation is computed again for the backward pass rather than kept."""

    @staticmethod
    def forward(
        ctx, x: Float[Tensor, "*b k"], weight: Float[Tensor, "n k"], bias: Float[Tensor, "n"] | None
    ) -> Float[Tensor, "*b n"]:
        rows, half = _remembered(ctx, x, weight, bias)
        return _outputs(F.gelu(rows), half, bias).view(*x.shape[:-1], weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Float[Tensor, "*b n"]):  # type: ignore[override]
        rows, weight = ctx.saved_tensors
        gradient = gradient.reshape(-1, gradient.shape[-1])
        of_parameters = _of_parameters(ctx, gradient, F.gelu(rows), 1)
        of_x = torch.ops.aten.gelu_backward(product(gradient, weight), rows)
        return of_x.view(ctx.like).to(ctx.kinds[0]), *of_parameters


class HalfLinearOfNorm(torch.autograd.Function):
    """As HalfLinear, of the layer norm of x: the norm is computed again for the backward pass rather than kept."""

    @staticmethod
    def forward(
        ctx,
        x: Float[Tensor, "*b k"],
        scale: Float[Tensor, "k"],
        shift: Float[Tensor, "k"],
        eps: float,
        weight: Float[Tensor, "n k"],
        bias: Float[Tensor, "n"] | None,
    ) -> Float[Tensor, "*b n"]:
        rows, half = x.reshape(-1, x.shape[-1]), weight.to(HALF)
        normal, mean, inverse = torch.native_layer_norm(rows, scale.shape, scale, shift, eps)
        ctx.save_for_backward(rows, mean, inverse, scale, shift, half)
        ctx.like, ctx.eps, ctx.kinds = x.shape, eps, _kinds(x, weight, bias)
        return _outputs(normal.to(HALF), half, bias).view(*x.shape[:-1], weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Float[Tensor, "*b n"]):  # type: ignore[override]
        rows, mean, inverse, scale, shift, weight = ctx.saved_tensors
        gradient = gradient.reshape(-1, gradient.shape[-1])
        normal = F.layer_norm(rows, scale.shape, scale, shift, ctx.eps)
        of_parameters = _of_parameters(ctx, gradient, normal.to(HALF), 4)
        slope = product(gradient, weight).to(rows.dtype)
        of_norm = torch.ops.aten.native_layer_norm_backward(
            slope, rows, scale.shape, mean, inverse, scale, shift, ctx.needs_input_grad[:3]
        )
        of_x = of_norm[0].view(ctx.like) if of_norm[0] is not None else None
        return of_x, of_norm[1], of_norm[2], None, *of_parameters


def _remembered(ctx, x: Float[Tensor, "*b k"], weight: Float[Tensor, "n k"], bias) -> tuple[Tensor, Tensor]:
    """Rows and weight in half precision, kept for the backward pass with the shapes and types they came in."""
    rows, half = x.to(HALF).reshape(-1, x.shape[-1]), weight.to(HALF)
    ctx.save_for_backward(rows, half)
    ctx.like, ctx.kinds = x.shape, _kinds(x, weight, bias)
    return rows, half


def _kinds(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[torch.dtype, ...]:
    return x.dtype, weight.dtype, weight.dtype if bias is None else bias.dtype


def _outputs(
    rows: Float[Tensor, "m k"], weight: Float[Tensor, "n k"], bias: Float[Tensor, "n"] | None
) -> Float[Tensor, "m n"]:
    return product(rows, weight.t(), None if bias is None else bias.to(HALF))


def _of_parameters(ctx, gradient: Float[Tensor, "m n"], rows: Float[Tensor, "m k"], place: int):
    """Gradients of weight and bias, which are the arguments `place` and `place + 1`."""
    needs_weight, needs_bias = ctx.needs_input_grad[place : place + 2]
    of_weight = transposed_product(gradient, rows, ctx.kinds[1]) if needs_weight else None
    return of_weight, gradient.sum(0).to(ctx.kinds[2]) if needs_bias else None


def product(
    left: Float[Tensor, "m k"], right: Float[Tensor, "k n"], bias: Float[Tensor, "n"] | None = None
) -> Float[Tensor, "m n"]:
    """left right + bias, in two parts where that is faster."""
    m, n = left.shape[0], right.shape[1]
    if m > FEW_ROWS or n > NARROW or m < 2:
        return left @ right if bias is None else torch.addmm(bias, left, right)
    result = left.new_empty(m, n)
    for rows, part in zip(left.tensor_split(2), result.tensor_split(2), strict=True):
        if bias is None:
            torch.mm(rows, right, out=part)
        else:
            torch.addmm(bias, rows, right, out=part)
    return result


def transposed_product(
    left: Float[Tensor, "m n"], right: Float[Tensor, "m k"], dtype: torch.dtype
) -> Float[Tensor, "n k"]:
    """left' right as `dtype`, with that factor copied to lie as the product reads it which costs less to turn.

    With the right one turned, so must the product be, into a wider type, which takes TURNED times as long per number.
    """
    (m, n), k = left.shape, right.shape[1]
    if m * n <= m * k + TURNED * n * k:
        return (transposed(left, left.dtype) @ right).to(dtype)
    return transposed(transposed(right, right.dtype) @ left, dtype)


def transposed(x: Float[Tensor, "m n"], dtype: torch.dtype) -> Float[Tensor, "n m"]:
    """A contiguous copy of x', made a few rows at a time."""
    copy = x.new_empty(x.shape[1], x.shape[0], dtype=dtype)
    block = max(16, CACHED // x.shape[1])
    for rows, columns in zip(x.split(block), copy.split(block, dim=1), strict=True):
        columns.copy_(rows.t())
    return copy
