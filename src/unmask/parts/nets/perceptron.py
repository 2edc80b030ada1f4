"""Fully connected layers with tanh between them."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from unmask.parts.nets.linear import Linear


class Perceptron(nn.Sequential):
    """Linear layers of the given widths, each followed by tanh.

    Source: Glorot and Bengio 2010: uniform weights, zero biases.
    """

    def __init__(self, inputs: int, widths: Sequence[int]):
        layers: list[nn.Module] = []
        for before, after in zip((inputs, *widths), widths, strict=False):
            layers += [glorot(Linear(before, after)), nn.Tanh()]
        super().__init__(*layers)

    def forward(self, input: Float[Tensor, "*b k"]) -> Float[Tensor, "*b d"]:
        return super().forward(input)


def glorot(linear: Linear) -> Linear:
    """The layer with Glorot's uniform weights and no bias yet."""
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
