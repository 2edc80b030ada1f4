"""The linear layer of all networks here, alone or after a norm or an activation."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unmask.parts.ops.linear import HalfLinear, HalfLinearOfGelu, HalfLinearOfNorm, uses_half


class Linear(nn.Linear):
    """torch's linear layer, with its products arranged for the CPU's matrix units in half precision."""

    def forward(self, input: Float[Tensor, "*b k"]) -> Float[Tensor, "*b n"]:
        if uses_half(input, self.weight):
            return HalfLinear.apply(input, self.weight, self.bias)
        return F.linear(input, self.weight, self.bias)


def of_norm(linear: Linear, norm: nn.LayerNorm, x: Float[Tensor, "*b k"]) -> Float[Tensor, "*b n"]:
    """linear(norm(x)); in half precision on a CPU the normalised x is not kept."""
    if uses_half(x, linear.weight) and x.dtype == norm.weight.dtype:
        return HalfLinearOfNorm.apply(x, norm.weight, norm.bias, norm.eps, linear.weight, linear.bias)
    return linear(norm(x))


def of_gelu(linear: Linear, x: Float[Tensor, "*b k"]) -> Float[Tensor, "*b n"]:
    """linear(gelu(x)); in half precision on a CPU the activation is not kept."""
    if uses_half(x, linear.weight):
        return HalfLinearOfGelu.apply(x, linear.weight, linear.bias)
    return linear(F.gelu(x))
