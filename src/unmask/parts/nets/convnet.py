"""Hierarchical convolutional networks as masked encoders: what is hidden is never computed."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Mask
from unmask.parts.nets.convnext import ConvNeXt
from unmask.parts.nets.masked_conv import Active, only_active
from unmask.parts.nets.resnet import BasicBlock, Bottleneck, ResNet
from unmask.parts.ops.patches import pad_to_patches, patch_grid

STEMS = (4, 2, 1)  # what the first stage may divide the sides by
CELLS = 7  # cells along a side that a default aims at, as 224 pixels at a stride of 32


class Shape(NamedTuple):
    """The size of a network: its kind of block, and width and number of blocks of every stage."""

    kind: str
    widths: tuple[int, ...]
    depths: tuple[int, ...]


KINDS = ("resnet", "bottleneck", "convnext")
RESNET, CONVNEXT = (64, 128, 256, 512), (96, 192, 384, 768)
SHAPES = {  # He et al. 2016, table 1; Liu et al. 2022, section 3; the two small ones: Woo et al. 2023, table 9
    "resnet18": Shape("resnet", RESNET, (2, 2, 2, 2)),
    "resnet34": Shape("resnet", RESNET, (3, 4, 6, 3)),
    "resnet50": Shape("bottleneck", RESNET, (3, 4, 6, 3)),
    "resnet101": Shape("bottleneck", RESNET, (3, 4, 23, 3)),
    "resnet152": Shape("bottleneck", RESNET, (3, 8, 36, 3)),
    "resnet200": Shape("bottleneck", RESNET, (3, 24, 36, 3)),
    "convnext_atto": Shape("convnext", (40, 80, 160, 320), (2, 2, 6, 2)),
    "convnext_nano": Shape("convnext", (80, 160, 320, 640), (2, 2, 8, 2)),
    "convnext_tiny": Shape("convnext", CONVNEXT, (3, 3, 9, 3)),
    "convnext_small": Shape("convnext", CONVNEXT, (3, 3, 27, 3)),
    "convnext_base": Shape("convnext", (128, 256, 512, 1024), (3, 3, 27, 3)),
    "convnext_large": Shape("convnext", (192, 384, 768, 1536), (3, 3, 27, 3)),
}


def convnet_shape(model: str) -> Shape:
    """The shape of a preset such as "resnet18", or of "KIND:WIDTHS/DEPTHS" such as "resnet:32-64-128/2-2-2"."""
    if model in SHAPES:
        return SHAPES[model]
    kind, _, sizes = model.partition(":")
    parts = [part.split("-") for part in sizes.split("/")]
    numbers = all(number.isdigit() and int(number) > 0 for part in parts for number in part)
    if kind in KINDS and numbers and len(parts) == 2 and len(parts[0]) == len(parts[1]):
        widths, depths = (tuple(map(int, part)) for part in parts)
        return Shape(kind, widths, depths)
    raise ValueError(
        f"model {model!r} is unknown; choose {', '.join(SHAPES)}, or KIND:WIDTHS/DEPTHS with one number per stage, such"
        f" as resnet:32-64-128/2-2-2; kinds are {', '.join(KINDS)}"
    )


def build_convnet(shape: Shape, stem: int, channels: int, drop_path: float) -> ResNet | ConvNeXt:
    """The network of this shape whose first stage divides the sides by `stem`."""
    if shape.kind == "convnext":
        return ConvNeXt(shape.widths, shape.depths, stem, channels, drop_path)
    block = Bottleneck if shape.kind == "bottleneck" else BasicBlock
    return ResNet(shape.widths, shape.depths, block, stem, channels, drop_path)


class ConvNet(nn.Module):
    """A network of stages that sees the visible cells of a picture and computes nothing elsewhere.

    model: a preset ("resnet18" ... "convnext_large"), "KIND:WIDTHS/DEPTHS", or a network, whose `network(image,
        active)` gives one map per stage, finest first, whose widths, strides and norm (a class) are its attributes.
    image_size: side of the pictures in pixels, or (height, width); other sizes are accepted at any time.
    cell_size: side in pixels of the squares that are hidden or seen as a whole: a multiple of the stride of the last
        stage. The first stage is as fine as that asks for. Default: about seven cells a side.
    drop_path: rate of the last block.
    """

    network: Any

    def __init__(
        self,
        model: str | nn.Module = "resnet50",
        image_size: int | tuple[int, int] = 224,
        cell_size: int | None = None,
        channels: int = 3,
        drop_path: float = 0.0,
    ):
        super().__init__()
        height, wide = (image_size, image_size) if isinstance(image_size, int) else image_size
        if min(height, wide, channels) < 1 or (cell_size is not None and cell_size < 1):
            raise ValueError(f"image_size {image_size}, cell_size {cell_size} and channels {channels} must be positive")
        if isinstance(model, str):
            shape = convnet_shape(model)
            stem = _stem(model, 2 ** (len(shape.widths) - 1), min(height, wide), cell_size)
            model = build_convnet(shape, stem, channels, drop_path)
        self.network = model
        self.widths: tuple[int, ...] = self.network.widths
        self.strides: tuple[int, ...] = self.network.strides
        self.patch_size = cell_size or self.strides[-1]
        self.channels = channels
        if self.patch_size % self.strides[-1]:
            raise ValueError(f"cell_size {cell_size} is no multiple of the stride {self.strides[-1]} of the network")
        self.grid = patch_grid(height, wide, self.patch_size)
        if self.grid[0] * self.grid[1] < 2:
            raise ValueError(
                f"image {height}x{wide} is a single cell of {self.patch_size}; use larger images, smaller cells or a"
                " network of fewer stages"
            )

    @property
    def width(self) -> int:
        """Channels of the last stage."""
        return self.widths[-1]

    def grid_of(self, image: Float[Tensor, "b c h w"]) -> tuple[int, int]:
        """The grid of cells into which this picture is cut."""
        return patch_grid(image.shape[-2], image.shape[-1], self.patch_size)

    def active(
        self, image: Float[Tensor, "b c h w"], mask: Mask | None = None, valid: Bool[Tensor, "b h w"] | None = None
    ) -> Active | None:
        """The pixels in seen cells that are real, up to whole cells; None where that is every one."""
        b, _, h, w = image.shape
        rows, columns = grid = self.grid_of(image)
        if mask is None and valid is None and (rows * self.patch_size, columns * self.patch_size) == (h, w):
            return None
        pixels = image.new_ones(b, 1, h, w) if valid is None else valid.unsqueeze(1).to(image.dtype)
        pixels = pad_to_patches(pixels, self.patch_size).squeeze(1) > 0
        if mask is not None:
            seen = mask.complete(image.new_ones(b, mask.count, 1), image.new_zeros(1)).reshape(b, *grid) > 0
            pixels = pixels & seen.repeat_interleave(self.patch_size, 1).repeat_interleave(self.patch_size, 2)
        return Active(pixels)

    def forward(self, image: Float[Tensor, "b c h w"], active: Active | None = None) -> list[Float[Tensor, "b _ _ _"]]:
        """One map per stage, finest first, 0 where nothing is active."""
        if image.shape[1] != self.channels:
            raise ValueError(
                f"image has {image.shape[1]} channels, this encoder {self.channels}; map them by name first"
            )
        image = only_active(pad_to_patches(image, self.patch_size), active)
        return self.network(image.contiguous(memory_format=torch.channels_last), active)


def _stem(model: str, halvings: int, side: int, cell_size: int | None) -> int:
    """How fine the first stage is, so that the last one fits the cells, or the cells the picture."""
    if cell_size is None:
        return min(STEMS, key=lambda stem: abs(side / (stem * halvings) - CELLS))
    for stem in STEMS:
        if cell_size % (stem * halvings) == 0:
            return stem
    raise ValueError(
        f"cell_size {cell_size} does not fit {model}, whose stages divide the sides by {halvings} at least; choose a"
        f" multiple of {halvings}, or a network of fewer stages"
    )
