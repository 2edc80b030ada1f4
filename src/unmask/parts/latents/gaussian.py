"""Diagonal Gaussians: densities, samples from given noise, and the layer that gives one."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unmask.parts.nets.linear import Linear
from unmask.parts.nets.perceptron import Perceptron, glorot

LOG_2_PI = math.log(2 * math.pi)


class Gaussian(NamedTuple):
    """Independent normal numbers."""

    mean: Float[Tensor, "*b d"]
    deviation: Float[Tensor, "*b d"]

    def at(self, noise: Float[Tensor, "*c d"]) -> Float[Tensor, "*e d"]:
        """The sample that standard normal noise becomes; gradients reach mean and deviation."""
        return self.mean + self.deviation * noise

    def log_density(self, value: Float[Tensor, "*c d"]) -> Float[Tensor, "*e"]:
        """Log of the density at the value, summed over the last axis."""
        scaled = (value - self.mean) / self.deviation
        return -(scaled.square() / 2 + self.deviation.log() + LOG_2_PI / 2).sum(-1)


def standard_log_density(value: Float[Tensor, "*b d"]) -> Float[Tensor, "*b"]:
    """Log of the standard normal density, summed over the last axis."""
    return -(value.square() + LOG_2_PI).sum(-1) / 2


def standard_divergence(mean: Float[Tensor, "b d"], log_variance: Float[Tensor, "b d"]) -> Float[Tensor, "b"]:
    """KL divergence from the diagonal Gaussian to the standard one.

    Source: Kingma and Welling 2014, appendix B.
    """
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1) / 2


class GaussianLayer(nn.Module):
    """A conditional Gaussian: two tanh layers, then linear mean and log-deviation."""

    def __init__(self, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.outputs = outputs
        self.trunk = Perceptron(inputs, (hidden, hidden))
        self.mean = glorot(Linear(hidden, outputs))
        self.log_deviation = glorot(Linear(hidden, outputs))

    def forward(self, x: Float[Tensor, "*b k"]) -> Gaussian:
        return self.of(self.trunk(x))

    def of(self, hidden: Float[Tensor, "*b h"]) -> Gaussian:
        """The Gaussian of what the tanh layers say."""
        return Gaussian(self.mean(hidden).float(), torch.exp(self.log_deviation(hidden).float()))
