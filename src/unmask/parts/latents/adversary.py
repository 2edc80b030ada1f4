"""A network that tells codes from draws of the prior, and the two sides of its game."""

import math
from itertools import pairwise

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unmask.parts.nets.dcgan import ConvEncoder, started
from unmask.parts.nets.linear import Linear


class LatentAdversary(nn.Module):
    """Gives a logit for every code: high for the prior's, low for the encoder's.

    width, layers: of its ReLU layers. known_prior: add the log-density of the normal prior, which is known, so that
    the network has to learn that of the codes only. rate: its learning rate, in units of the autoencoder's.
    crossed: add the density of every code to the logit of every code, as the released code does.
    Source: Tolstikhin et al. 2018 (WAE); tolstikhin/wae, models.py, z_adversary, with its constants.
    """

    def __init__(
        self,
        encoder: ConvEncoder,
        width: int = 1024,
        layers: int = 4,
        known_prior: bool = True,
        rate: float = 10 / 3,  # 1e-3 to 3e-4
        crossed: bool = False,
    ):
        super().__init__()
        widths = [encoder.latent, *[width] * layers]
        self.layers = nn.ModuleList(started(Linear(*pair)) for pair in pairwise(widths))
        self.head = started(Linear(widths[-1], 1))
        self.known_prior = known_prior
        self.rate = rate
        self.crossed = crossed

    def forward(self, code: Float[Tensor, "n d"], scale: float = 1.0) -> Float[Tensor, "*n"]:
        """One logit for every code, or for every pair where they are crossed. scale: deviation of the normal prior."""
        x = code
        for layer in self.layers:
            x = layer(x).relu()
        logit = self.head(x).squeeze(-1).float()
        if not self.known_prior:
            return logit
        constant = math.log(2 * math.pi) / 2 + code.shape[-1] * math.log(scale)
        density = -code.float().square().sum(-1) / (2 * scale**2) - constant
        return logit.unsqueeze(-1) + density if self.crossed else logit + density


def telling_apart(prior: Float[Tensor, "*n"], codes: Float[Tensor, "*n"]) -> Float[Tensor, ""]:
    """The adversary's loss from its logits of the prior's draws and of the codes."""
    return F.softplus(-prior).mean() + F.softplus(codes).mean()


def being_taken_for(codes: Float[Tensor, "*n"]) -> Float[Tensor, ""]:
    """The encoder's loss: low where the adversary takes its codes for the prior's (non-saturating)."""
    return F.softplus(-codes).mean()
