"""The light decoder that sees what the encoder kept and mask tokens everywhere else."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Mask
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.positions import Positions
from unmask.parts.nets.transformer import Record, Transformer, initialise
from unmask.parts.nets.vit import ViT


class TokenDecoder(nn.Module):
    """A narrow transformer over all places, from the encoder's tokens to one prediction per place.

    outputs: numbers predicted per place; None: the pixels of a patch.
    Source: He et al. 2022 (MAE), section 3.
    """

    def __init__(self, encoder: ViT, width: int = 512, depth: int = 8, heads: int = 16, outputs: int | None = None):
        super().__init__()
        self.prefix = encoder.prefix
        self.embed = Linear(encoder.width, width)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        self.positions = Positions(encoder.grid, width)
        self.trunk = Transformer(width, depth, heads)
        self.head = Linear(width, outputs or encoder.patch_size**2 * encoder.channels)
        nn.init.normal_(self.mask_token, std=0.02)
        initialise(self.embed)
        initialise(self.head)

    def forward(
        self,
        tokens: Float[Tensor, "b s d"],
        mask: Mask,
        grid: tuple[int, int],
        record: Record | None = None,
        places: Bool[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b n k"]:
        """places: False where a place is padding that must not be attended to."""
        x = self.trunk(self.fill(tokens, mask, grid), with_prefix(places, self.prefix), record)
        return self.head(x[:, self.prefix :])

    def rehead(self, outputs: int) -> None:
        """Predicts so many numbers per place instead, from a new last layer."""
        self.head = Linear(self.head.in_features, outputs)
        initialise(self.head)

    def fill(self, tokens: Float[Tensor, "b s d"], mask: Mask, grid: tuple[int, int]) -> Float[Tensor, "b m e"]:
        """What the blocks receive: the class token, if any, and every place, mask tokens where nothing is seen."""
        x = self.embed(tokens)
        before, seen = x[:, : self.prefix], x[:, self.prefix :]
        full = mask.complete(seen, self.mask_token) + self.positions(grid)
        return torch.cat([before, full.to(before.dtype)], dim=1)


def with_prefix(places: Bool[Tensor, "b n"] | None, prefix: int) -> Bool[Tensor, "b m"] | None:
    """The places with as many real ones before them as there are class tokens."""
    if places is None or not prefix:
        return places
    return torch.cat([torch.ones_like(places[:, :prefix]), places], dim=1)
