"""The linear layer of all networks here."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unmask.parts.ops.linear import HalfLinear, uses_half


class Linear(nn.Linear):
    """torch's linear layer, with its products arranged for the CPU's matrix units in half precision."""

    def forward(self, input: Float[Tensor, "*b k"]) -> Float[Tensor, "*b n"]:
        if uses_half(input):
            return HalfLinear.apply(input, self.weight, self.bias)
        return F.linear(input, self.weight, self.bias)
