"""Independent binary pixels: their likelihood, their draws, and the layer that gives their logits."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.parts.nets.linear import Linear
from unmask.parts.nets.perceptron import Perceptron, glorot

LEAST = 1e-3  # a pixel's mean is taken as at least this far from 0 and 1 when its bias is set


class BernoulliLayer(nn.Module):
    """Two tanh layers, then the logits of binary pixels.

    mean: of every channel, whose logit the biases start with.
    """

    def __init__(self, inputs: int, hidden: int, channels: int, places: int, mean: tuple[float, ...]):
        super().__init__()
        self.trunk = Perceptron(inputs, (hidden, hidden))
        self.logits = glorot(Linear(hidden, channels * places))
        start = torch.tensor(mean).clamp(LEAST, 1 - LEAST).logit()
        with torch.no_grad():
            self.logits.bias.copy_(start.expand(channels).repeat_interleave(places))

    def forward(self, x: Float[Tensor, "*b k"]) -> Float[Tensor, "*b p"]:
        return self.logits(self.trunk(x)).float()


def bernoulli_log_density(
    logits: Float[Tensor, "*b p"], value: Float[Tensor, "*c p"], valid: Bool[Tensor, "*d p"] | None = None
) -> Float[Tensor, "*b"]:
    """Log-probability of binary pixels, summed over those that are valid."""
    found = -F.binary_cross_entropy_with_logits(logits, value.expand_as(logits), reduction="none")
    return (found if valid is None else found * valid).sum(-1)


def binarised(noise: Float[Tensor, "*b"], grey: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """1 with the probability that the grey value says; noise is uniform in [0, 1)."""
    return (noise < grey).to(grey.dtype)
