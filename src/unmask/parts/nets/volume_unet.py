"""The residual U-Net of volumes: an encoder that computes at visible cells only, and a decoder of all its stages."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Mask, check_choice
from unmask.parts.nets.masked_conv import Active, MaskedConv3d, MaskedInstanceNorm3d, only_active
from unmask.parts.nets.unet_decoder import SPREAD, Densify

SLOPE = 0.01  # of the activations below 0
FILLS = ("densify", "token", "none")


class Shape(NamedTuple):
    """The size of a network: width and number of blocks of every stage."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]


SHAPES = {"resenc_l": Shape((32, 64, 128, 256, 320, 320), (1, 3, 4, 6, 6, 6))}  # Isensee et al. 2024


def unet_shape(model: str) -> Shape:
    """The shape of a preset such as "resenc_l", or of "WIDTHS/DEPTHS" such as "16-32-64/1-2-2"."""
    if model in SHAPES:
        return SHAPES[model]
    parts = [part.split("-") for part in model.split("/")]
    numbers = all(number.isdigit() and int(number) > 0 for part in parts for number in part)
    if numbers and len(parts) == 2 and len(parts[0]) == len(parts[1]) > 1:
        widths, depths = (tuple(map(int, part)) for part in parts)
        return Shape(widths, depths)
    raise ValueError(
        f"model {model!r} is unknown; choose {', '.join(SHAPES)}, or WIDTHS/DEPTHS with one number for each of at least"
        " two stages, such as 16-32-64/1-2-2"
    )


class Unit(nn.Module):
    """A convolution, the norm of what is active, and an activation, if asked for."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, bias: bool = True, last: bool = False
    ):
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)
        self.norm, self.last = MaskedInstanceNorm3d(outputs), last

    def forward(self, x: Float[Tensor, "b d i j k"], active: Active | None = None) -> Float[Tensor, "b e l m n"]:
        x = self.norm(self.conv(x), active)
        return x if self.last else F.leaky_relu(x, SLOPE)


class ResidualBlock(nn.Module):
    """Two units and a shortcut, which is averaged where the sides are halved.

    Source: He et al. 2019 (ResNet-D); BasicBlockD of dynamic-network-architectures.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.first, self.second = Unit(inputs, outputs, 3, stride), Unit(outputs, outputs, last=True)
        self.project = None if inputs == outputs else Unit(inputs, outputs, 1, bias=False, last=True)
        self.stride = stride

    def forward(self, x: Float[Tensor, "b d i j k"], active: Active | None = None) -> Float[Tensor, "b e l m n"]:
        y = self.second(self.first(x, active), active)
        x = x if self.stride == 1 else F.avg_pool3d(x, self.stride)
        return F.leaky_relu(y + (x if self.project is None else self.project(x, active)), SLOPE)


class VolumeEncoder(nn.Module):
    """One map for every stage of a residual network, finest first; every stage but the first halves the sides.

    model: "resenc_l", or "WIDTHS/DEPTHS". volume_size: side of the volumes in voxels, or (x, y, z), as views cut them;
    other sizes are accepted at any time. cell_size: side of the cubes that are hidden or seen as a whole; stages whose
    positions are larger compute everywhere. spacing: millimetres from voxel to voxel that volumes are brought to; None
    takes them as they are.
    Source: Isensee et al. 2024 (nnU-Net's ResEnc presets); ResidualEncoder of dynamic-network-architectures.
    """

    key = "volume"

    def __init__(
        self,
        model: str = "resenc_l",
        volume_size: int | tuple[int, int, int] = 160,
        cell_size: int = 16,
        channels: int = 1,
        spacing: float | None = None,
    ):
        super().__init__()
        sides = (volume_size,) * 3 if isinstance(volume_size, int) else volume_size
        if min(*sides, cell_size, channels) < 1 or (spacing is not None and not spacing > 0):
            raise ValueError(
                f"volume_size {volume_size}, cell_size {cell_size}, channels {channels} and spacing {spacing} must be"
                " positive"
            )
        self.widths, self.depths = unet_shape(model)
        self.strides = tuple(2**i for i in range(len(self.widths)))
        if max(cell_size, self.strides[-1]) % min(cell_size, self.strides[-1]):
            raise ValueError(f"cell_size {cell_size} and the network's last stride {self.strides[-1]} do not divide")
        self.patch_size, self.channels, self.volume_size, self.spacing = cell_size, channels, sides, spacing
        if max(sides) <= cell_size:
            raise ValueError(f"a volume of {volume_size} is a single cell of {cell_size}; use smaller cells")
        self.stem = Unit(channels, self.widths[0])
        self.stages, inputs = nn.ModuleList(), self.widths[0]
        for number, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            blocks = [
                ResidualBlock(inputs if i == 0 else width, width, 2 if number and not i else 1) for i in range(depth)
            ]
            self.stages.append(nn.ModuleList(blocks))
            inputs = width
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @property
    def whole(self) -> int:
        """Sides are filled up to multiples of this."""
        return max(self.patch_size, self.strides[-1])

    def grid_of(self, volume: Float[Tensor, "b c i j k"]) -> tuple[int, ...]:
        """The grid of cells into which this volume is cut."""
        return tuple(-(-side // self.whole) * (self.whole // self.patch_size) for side in volume.shape[2:])

    def filled(self, x: Float[Tensor, "b c i j k"]) -> Float[Tensor, "b c l m n"]:
        """Zeros at the ends until every stage divides the sides."""
        sides = [(-side) % self.whole for side in reversed(x.shape[2:])]
        return F.pad(x, [length for side in sides for length in (0, side)]) if any(sides) else x

    def active(
        self,
        volume: Float[Tensor, "b c i j k"],
        mask: Mask | None = None,
        valid: Bool[Tensor, "b i j k"] | None = None,
    ) -> Active | None:
        """The voxels in seen cells that are real; None where that is every one."""
        full = all(side % self.whole == 0 for side in volume.shape[2:])
        if valid is not None and full and bool(valid.all()):
            valid = None
        if mask is None and valid is None and full:
            return None
        real = volume.new_ones(len(volume), 1, *volume.shape[2:]) if valid is None else valid.unsqueeze(1).to(volume)
        voxels = known = self.filled(real).squeeze(1) > 0
        if mask is not None:
            seen = mask.complete(volume.new_ones(len(volume), mask.count, 1), volume.new_zeros(1))
            seen = seen.reshape(len(volume), *self.grid_of(volume)) > 0
            for axis in (1, 2, 3):
                seen = seen.repeat_interleave(self.patch_size, axis)
            voxels = voxels & seen
        return Active(voxels, self.patch_size, known)

    def forward(
        self, volume: Float[Tensor, "b c i j k"], active: Active | None = None, covered: bool = True
    ) -> list[Float[Tensor, "b _ _ _ _"]]:
        """covered: False lets the first convolution see what is not active at the borders of what is."""
        if volume.shape[1] != self.channels:
            raise ValueError(f"volume has {volume.shape[1]} channels, this encoder {self.channels}")
        x = self.filled(volume)
        x = self.stem(only_active(x, active) if covered else x, active)
        maps = []
        for stage in self.stages:
            for block in stage:  # type: ignore[attr-defined]
                x = block(x, active)
            maps.append(x)
        return maps


class VolumeDecoder(nn.Module):
    """From the maps of all stages to voxels, coarse to fine, each stage joined to what comes from below it.

    convolutions: of every stage. fill: what stands where the encoder did not compute: "densify" fills with a token of
    every stage after a norm and convolves, "token" only fills, "none" leaves 0.
    Source: UNetDecoder of dynamic-network-architectures; SparK3D of nnssl, whose densifying norms have no scale.
    """

    def __init__(
        self, encoder: VolumeEncoder, convolutions: int = 1, fill: str = "densify", outputs: int | None = None
    ):
        super().__init__()
        check_choice("fill", fill, FILLS)
        self.densify, self.tokens = nn.ModuleList(), nn.ParameterList()
        widths = encoder.widths
        for number, width in enumerate(widths):
            if fill == "densify":
                self.densify.append(Densify(plain_norm, width, width, 3 if number else 1, MaskedConv3d))
            elif fill == "token":
                self.tokens.append(nn.init.trunc_normal_(torch.empty(width), std=SPREAD, a=-SPREAD, b=SPREAD))
        pairs = list(zip(reversed(widths[1:]), reversed(widths[:-1]), strict=True))
        self.enlarge = nn.ModuleList(nn.ConvTranspose3d(below, width, 2, 2) for below, width in pairs)
        self.stages = nn.ModuleList(
            nn.ModuleList(Unit(width if i else 2 * width, width) for i in range(convolutions)) for _, width in pairs
        )
        self.head = nn.Conv3d(widths[0], outputs or encoder.channels, 1)
        for module in (*self.enlarge, *self.stages.modules(), self.head):
            if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(
        self, maps: list[Float[Tensor, "b _ _ _ _"]], seen: Active | None, real: Active | None = None
    ) -> Float[Tensor, "b c i j k"]:
        """maps: as the encoder gives them. seen: where it computed. real: where the volume is, None: everywhere."""
        maps = [self.filled(number, x, seen, real) for number, x in enumerate(maps)]
        x = maps[-1]
        for enlarge, units, skip in zip(self.enlarge, self.stages, reversed(maps[:-1]), strict=True):
            x = only_active(torch.cat([enlarge(x), skip], 1), real)
            for unit in units:  # type: ignore[attr-defined]
                x = unit(x, real)
        return self.head(x)

    def filled(
        self, number: int, x: Float[Tensor, "b d i j k"], seen: Active | None, real: Active | None
    ) -> Float[Tensor, "b d i j k"]:
        """The map of one stage without holes."""
        if len(self.densify):
            return self.densify[number](x, seen, real)
        if not len(self.tokens) or seen is None:
            return x
        token = self.tokens[number].to(x.dtype)[:, None, None, None]
        return only_active(torch.where(seen.at(x), x, token), real)

    def rehead(self, outputs: int) -> None:
        """Predicts so many numbers per voxel instead, from a new last layer."""
        self.head = nn.Conv3d(self.head.in_channels, outputs, 1)


def plain_norm(width: int) -> MaskedInstanceNorm3d:
    """Without scale and shift."""
    return MaskedInstanceNorm3d(width, affine=False)
