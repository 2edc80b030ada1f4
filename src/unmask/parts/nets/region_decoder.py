"""Completes the hidden parts of regions from their visible parts and from what an encoder says of the picture."""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Mask
from unmask.parts.nets.linear import Linear, of_norm
from unmask.parts.nets.positions import Positions
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.transformer import EPS, Attention, Block, initialise
from unmask.parts.nets.vit import ViT


class RegionDecoder(nn.Module):
    """Every region becomes one query; queries meet a memory of all places, which the encoder's tokens fill.

    width, heads: of everything here. depth: blocks of the memory. layers: blocks that read a region's visible parts.
    Source: Nguyen et al. 2024 (R-MAE), section 3.3, the query variant, with one decoder layer.
    """

    def __init__(self, encoder: ViT, width: int = 128, depth: int = 8, heads: int = 8, layers: int = 1):
        super().__init__()
        self.embed = Linear(encoder.patch_size**2, width)
        self.positions = Positions(encoder.grid, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.read_norm, self.read = nn.LayerNorm(width, eps=EPS), Linear(width, width)
        self.norm, self.attention = nn.LayerNorm(width, eps=EPS), Attention(width, heads)
        self.meet_norm, self.widen = nn.LayerNorm(width, eps=EPS), Linear(width, width)
        self.meet = nn.Sequential(nn.GELU(), Linear(width, width), nn.GELU())
        self.head = Linear(width, encoder.patch_size**2)
        self.apply(initialise)
        self.memory = TokenDecoder(encoder, width, depth, heads, outputs=width)

    def forward(
        self,
        regions: Float[Tensor, "b r n p"],
        tokens: Float[Tensor, "b s d"],
        mask: Mask,
        grid: tuple[int, int],
        places: Bool[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b r n p"]:
        """For every pixel of every region the logit of belonging to it. regions: 1 inside, 0 outside."""
        queries = self.queries(regions, mask, grid)
        queries = queries + self.attention(queries, self.norm)
        meeting = queries.unsqueeze(2) + self.memory(tokens, mask, grid, None, places).unsqueeze(1)
        return self.head(self.meet(of_norm(self.widen, self.meet_norm, meeting)))

    def queries(self, regions: Float[Tensor, "b r n p"], mask: Mask, grid: tuple[int, int]) -> Float[Tensor, "b r d"]:
        """One vector for each region, from its parts at the seen places."""
        b, r = regions.shape[:2]
        seen = mask.visible(regions.transpose(1, 2).flatten(2)).unflatten(-1, (r, -1)).transpose(1, 2)
        x = self.embed(seen - 0.5) + mask.visible(self.positions(grid).expand(b, -1, -1)).unsqueeze(1)
        valid = None if mask.valid is None else mask.valid.repeat_interleave(r, 0)
        x = x.flatten(0, 1)
        for block in self.blocks:
            x = block(x, valid)
        if valid is not None:
            x = x * valid.unsqueeze(-1) * (x.shape[1] / valid.sum(-1).clamp(min=1)[:, None, None])
        return of_norm(self.read, self.read_norm, x.mean(1)).unflatten(0, (b, r))


def region_loss(
    logits: Float[Tensor, "b r n p"],
    regions: Float[Tensor, "b r n p"],
    real: Bool[Tensor, "b n p"] | None = None,
) -> Float[Tensor, "b n"]:
    """Binary cross-entropy of every place, in float32: the mean over its real pixels and over the regions."""
    error = F.binary_cross_entropy_with_logits(logits.float(), regions.float(), reduction="none").mean(1)
    if real is None:
        return error.mean(-1)
    return (error * real).sum(-1) / real.sum(-1).clamp(min=1)
