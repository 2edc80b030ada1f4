"""From tokens to scores of learned prototypes, for self-distillation."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unmask.parts.nets.linear import Linear
from unmask.parts.nets.vit import ViT

STD = 0.02  # of the first weights, as in DINO


class PrototypeHead(nn.Module):
    """Three linear layers with GELU, then the cosine with every prototype times its gain.

    outputs: prototypes. hidden, bottleneck: widths of the layers.
    Source: Caron et al. 2021 (DINO): the last layer has normalised weights; in small models gains are learned.
    """

    def __init__(self, encoder: ViT, outputs: int = 8192, hidden: int = 2048, bottleneck: int = 256):
        super().__init__()
        widths = (encoder.width, hidden, hidden, bottleneck)
        self.layers = nn.ModuleList(Linear(before, after) for before, after in pairwise(widths))
        self.gains = nn.Parameter(torch.ones(outputs))
        self.prototypes = nn.Parameter(torch.empty(outputs, bottleneck))
        for layer in self.layers:
            nn.init.trunc_normal_(layer.weight, std=STD)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.kaiming_uniform_(self.prototypes, a=5**0.5)  # torch's own for a linear layer

    def forward(self, x: Float[Tensor, "*b d"]) -> Float[Tensor, "*b k"]:
        *before, last = self.layers
        for layer in before:
            x = F.gelu(layer(x))
        weights = F.normalize(self.prototypes, dim=-1) * self.gains.unsqueeze(-1)
        return F.linear(F.normalize(last(x), dim=-1), weights.to(x.dtype))
