"""Priors over codes: draws from given noise, and how an encoder's output is brought into their domain."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unmask.core import check_choice

KINDS = ("normal", "sphere", "uniform")


class Prior:
    """What codes should be distributed like.

    kind: "normal", "sphere" (uniform on the unit sphere) or "uniform" (in the cube from -1 to 1). scale: multiplies
    the draws.
    Source: tolstikhin/wae, wae.py, sample_pz.
    """

    def __init__(self, kind: str = "normal", scale: float = 1.0):
        check_choice("prior", kind, KINDS)
        if scale <= 0:
            raise ValueError(f"scale {scale} of the prior must be positive")
        self.kind = kind
        self.scale = scale

    def draw(self, noise: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """The codes that standard normal noise becomes."""
        if self.kind == "sphere":
            noise = F.normalize(noise, dim=-1)
        elif self.kind == "uniform":
            noise = torch.erf(noise / math.sqrt(2))  # twice the normal distribution function, minus 1
        return self.scale * noise

    def inside(self, code: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """The code on the sphere or within the cube."""
        if self.kind == "sphere":
            return F.normalize(code, dim=-1)
        return code.tanh() if self.kind == "uniform" else code

    def distance(self, width: int) -> float:
        """What two draws of that many numbers have as squared distance on average, or in proportion to it."""
        return {"normal": 2.0 * width * self.scale**2, "sphere": 2.0, "uniform": float(width)}[self.kind]
