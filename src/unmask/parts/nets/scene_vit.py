"""A vision transformer of scenes: groups of bands and dates have tokens of their own at every place."""

import re

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Mask
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.scene_codes import SceneCodes, code_widths
from unmask.parts.nets.token_decoder import with_prefix
from unmask.parts.nets.transformer import Record, Transformer, initialise
from unmask.parts.nets.vit import transformer_shape
from unmask.parts.ops.patches import patch_grid, patchify

SENTINEL = (
    "0,1,2,6/3,4,5,7/8,9"  # of ten bands of Sentinel-2: 10 m, 20 m in the red edge, 20 m in the short-wave infrared
)


def read_groups(text: str, channels: int) -> tuple[tuple[int, ...], ...]:
    """Groups of channel numbers, "0,1,2/3,4". A channel may be in no group, and then it is not used."""
    try:
        groups = tuple(tuple(int(number) for number in group.split(",")) for group in text.split("/"))
    except ValueError:
        raise ValueError(f"groups {text!r} are not numbers of channels such as 0,1,2/3,4") from None
    named = [number for group in groups for number in group]
    if len(set(named)) < len(named) or not all(0 <= number < channels for number in named):
        raise ValueError(f"groups {text!r} must name channels from 0 to {channels - 1}, each at most once")
    return groups


class SceneViT(nn.Module):
    """Patches of every group of channels of every date, fixed codes, a class token and a pre-norm transformer.

    model: a preset ("vit_tiny" ... "vit_huge") or "WIDTHxDEPTHxHEADS". groups: numbers of channels, "0,1,2/3,4".
    channels: of a scene; None for as many as the groups name.
    dates: of a sample; with more than one, codes of year, month and hour are part of a token's. group_width and
    time_width: numbers of a code that tell group and date. Source: Cong et al. 2022 (SatMAE).
    """

    key = "raster"
    prefix = 1

    def __init__(
        self,
        model: str = "vit_large",
        image_size: int = 96,
        patch_size: int = 8,
        channels: int | None = None,
        groups: str = SENTINEL,
        dates: int = 1,
        group_width: int | None = None,
        time_width: int | None = None,
    ):
        super().__init__()
        numbers = [int(number) for number in re.findall(r"\d+", groups)]
        channels = max(numbers, default=0) + 1 if channels is None else channels
        if min(image_size, patch_size, channels, dates) < 1:
            raise ValueError(
                f"image_size {image_size}, patch_size {patch_size}, channels {channels}, dates {dates} must be positive"
            )
        self.shape = transformer_shape(model)
        self.width, self.patch_size, self.channels, self.dates = self.shape.width, patch_size, channels, dates
        self.groups = read_groups(groups, channels)
        self.grid = patch_grid(image_size, image_size, patch_size)
        if self.grid[0] * self.grid[1] * len(self.groups) * dates < 2:
            raise ValueError(f"a scene of {image_size} pixels gives a single token; use smaller patches or more dates")
        widths = code_widths(self.width, len(self.groups), dates, group_width, time_width)
        self.codes = SceneCodes(self.width, len(self.groups), *widths)
        self.embed = nn.ModuleList(Linear(patch_size**2 * len(group), self.width) for group in self.groups)
        self.class_token = nn.Parameter(torch.empty(1, 1, self.width))
        self.trunk = Transformer(*self.shape)
        self.embed.apply(initialise)
        nn.init.normal_(self.class_token, std=0.02)

    def grid_of(self, raster: Float[Tensor, "b t c h w"]) -> tuple[int, int]:
        """The grid on which every band of this scene is cut."""
        return patch_grid(raster.shape[-2], raster.shape[-1], self.patch_size)

    def patches(self, raster: Float[Tensor, "b t c h w"]) -> list[Float[Tensor, "b t l k"]]:
        """The patches of every group; within one row, column, channel."""
        if raster.shape[2] != self.channels:
            raise ValueError(
                f"scenes have {raster.shape[2]} channels, this encoder {self.channels}; choose them by name"
            )
        flat = raster.flatten(0, 1)
        return [patchify(flat[:, list(group)], self.patch_size).unflatten(0, raster.shape[:2]) for group in self.groups]

    def forward(
        self,
        raster: Float[Tensor, "b t c h w"],
        moment: Float[Tensor, "b t 3"] | None = None,
        mask: Mask | None = None,
        record: Record | None = None,
        places: Bool[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b s d"]:
        """Class token, then the seen tokens, by date, group and place. places: False where nothing is known."""
        tokens = [embed(patches) for embed, patches in zip(self.embed, self.patches(raster), strict=True)]
        x = torch.stack(tokens, dim=2).flatten(1, 3)
        x = x + self.codes(self.grid_of(raster), raster.shape[1], moment, x)
        valid = places
        if mask is not None:
            x, valid = mask.visible(x), mask.valid
        x = torch.cat([self.class_token.expand(len(x), -1, -1).to(x.dtype), x], dim=1)
        return self.trunk(x, with_prefix(valid, 1), record)
