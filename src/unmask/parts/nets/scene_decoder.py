"""The light decoder of scenes: mask tokens where nothing was seen, and an output for every group of bands."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Mask
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.scene_codes import SceneCodes, code_widths
from unmask.parts.nets.scene_vit import SceneViT
from unmask.parts.nets.token_decoder import with_prefix
from unmask.parts.nets.transformer import Transformer, initialise


class SceneDecoder(nn.Module):
    """A narrow transformer over the tokens of all dates, groups and places. Source: Cong et al. 2022 (SatMAE)."""

    def __init__(
        self,
        encoder: SceneViT,
        width: int = 512,
        depth: int = 8,
        heads: int = 16,
        group_width: int | None = None,
        time_width: int | None = None,
    ):
        super().__init__()
        widths = code_widths(width, len(encoder.groups), encoder.dates, group_width, time_width, decoder=True)
        self.codes = SceneCodes(width, len(encoder.groups), *widths)
        self.embed = Linear(encoder.width, width)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        self.trunk = Transformer(width, depth, heads)
        self.heads = nn.ModuleList(Linear(width, encoder.patch_size**2 * len(group)) for group in encoder.groups)
        nn.init.normal_(self.mask_token, std=0.02)
        self.embed.apply(initialise)
        self.heads.apply(initialise)

    def forward(
        self,
        tokens: Float[Tensor, "b s d"],
        mask: Mask,
        grid: tuple[int, int],
        dates: int,
        moment: Float[Tensor, "b t 3"] | None = None,
        places: Bool[Tensor, "b n"] | None = None,
    ) -> list[Float[Tensor, "b t l k"]]:
        """The patches of every group. places: False where nothing is known, which is not attended to."""
        x = self.embed(tokens)
        full = mask.complete(x[:, 1:], self.mask_token) + self.codes(grid, dates, moment, x)
        x = torch.cat([x[:, :1] + self.codes.of_class(x), full.to(x.dtype)], dim=1)
        x = self.trunk(x, with_prefix(places, 1))[:, 1:]
        x = x.unflatten(1, (dates, len(self.heads), grid[0] * grid[1]))
        return [head(x[:, :, number]) for number, head in enumerate(self.heads)]
