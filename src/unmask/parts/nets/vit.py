"""The vision transformer as a masked encoder: only the visible patches enter."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Mask
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.positions import Positions
from unmask.parts.nets.transformer import Record, Transformer
from unmask.parts.ops.patches import patch_grid, patchify


class Shape(NamedTuple):
    """The size of a transformer."""

    width: int
    depth: int
    heads: int


SHAPES = {  # Dosovitskiy et al. 2021, table 1; tiny from Touvron et al. 2021 (DeiT)
    "vit_tiny": Shape(192, 12, 3),
    "vit_small": Shape(384, 12, 6),
    "vit_base": Shape(768, 12, 12),
    "vit_large": Shape(1024, 24, 16),
    "vit_huge": Shape(1280, 32, 16),
}


def transformer_shape(model: str) -> Shape:
    """The shape of a preset such as "vit_base", or of "WIDTHxDEPTHxHEADS" such as "128x6x4"."""
    if model in SHAPES:
        return SHAPES[model]
    numbers = model.split("x")
    if len(numbers) == 3 and all(number.isdigit() and int(number) > 0 for number in numbers):
        return Shape(*map(int, numbers))
    raise ValueError(f"model {model!r} is unknown; choose {', '.join(SHAPES)} or WIDTHxDEPTHxHEADS such as 128x6x4")


class ViT(nn.Module):
    """Patches, positions, an optional class token and a pre-norm transformer.

    model: a preset ("vit_tiny" ... "vit_huge") or "WIDTHxDEPTHxHEADS".
    image_size: side of the pictures in pixels, or (height, width); other sizes are accepted at any time.
    positions: "sincos" (fixed) or "learned".
    drop_path: rate of the last block. layer_scale: initial value, or None for none.
    Source: Dosovitskiy et al. 2021; initialisation and epsilon of MAE's released code.
    """

    def __init__(
        self,
        model: str = "vit_base",
        image_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        channels: int = 3,
        class_token: bool = True,
        positions: str = "sincos",
        drop_path: float = 0.0,
        layer_scale: float | None = None,
    ):
        super().__init__()
        height, wide = (image_size, image_size) if isinstance(image_size, int) else image_size
        if min(height, wide, patch_size, channels) < 1:
            raise ValueError(
                f"image_size {image_size}, patch_size {patch_size} and channels {channels} must be positive"
            )
        self.shape = transformer_shape(model)
        self.width = self.shape.width
        self.patch_size = patch_size
        self.channels = channels
        self.numbers = patch_size * patch_size * channels  # of one patch
        self.grid = patch_grid(height, wide, patch_size)
        if self.grid[0] * self.grid[1] < 2:
            raise ValueError(
                f"image {height}x{wide} gives a single patch of {patch_size}; use smaller patches or larger images"
            )
        self.embed = Linear(self.numbers, self.width)
        self.positions = Positions(self.grid, self.width, positions)
        self.class_token = nn.Parameter(torch.empty(1, 1, self.width)) if class_token else None
        self.trunk = Transformer(*self.shape, drop_path=drop_path, layer_scale=layer_scale)
        nn.init.xavier_uniform_(self.embed.weight)
        nn.init.zeros_(self.embed.bias)
        if self.class_token is not None:
            nn.init.normal_(self.class_token, std=0.02)

    @property
    def prefix(self) -> int:
        """How many tokens stand before the patches."""
        return 0 if self.class_token is None else 1

    def grid_of(self, image: Float[Tensor, "b c h w"]) -> tuple[int, int]:
        """The grid on which this picture is cut."""
        return patch_grid(image.shape[-2], image.shape[-1], self.patch_size)

    def forward(
        self,
        image: Float[Tensor, "b c h w"],
        mask: Mask | None = None,
        record: Record | None = None,
        layers: int | None = None,
        places: Bool[Tensor, "b n"] | None = None,
        fill: Float[Tensor, "*fill d"] | None = None,
    ) -> Float[Tensor, "b s d"]:
        """Class token, if any, then the seen patches; with `fill` all, hidden ones as this vector at their place.

        layers: stop after that many blocks, before the final norm.
        places: where all patches are there, False where a place is padding that must not be attended to.
        """
        if image.shape[1] != self.channels:
            raise ValueError(
                f"image has {image.shape[1]} channels, this encoder {self.channels}; map them by name first"
            )
        patches = patchify(image, self.patch_size)
        positions = self.positions(self.grid_of(image)).expand(image.shape[0], -1, -1)
        valid = places
        if mask is not None and fill is None:
            patches, positions, valid = mask.visible(patches), mask.visible(positions), mask.valid
        x = self.embed(patches)
        x = (x if mask is None or fill is None else mask.cover(x, fill)) + positions
        if self.class_token is not None:
            x = torch.cat([self.class_token.expand(x.shape[0], -1, -1).to(x.dtype), x], dim=1)
            if valid is not None:
                valid = torch.cat([torch.ones_like(valid[:, :1]), valid], dim=1)
        return self.trunk(x, valid, record, layers)
