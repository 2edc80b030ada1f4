"""Strided convolutions from a picture down to a small map and a code, and transposed ones up again."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unmask.core import check_choice

SMALLEST = 4  # side at which halving ends
DOUBLINGS = 4  # of the width, at most; further stages before that have the first width
SPREAD = 0.02  # deviation of all weights at the start
SLOPE = 0.2  # of the rectifiers below 0
JOINS = ("dense", "channelwise")


def halvings(size: tuple[int, int]) -> int:
    """How often both sides can be halved before one is odd or at most SMALLEST."""
    count = 0
    while all(side % 2 == 0 and side > SMALLEST for side in size):
        size, count = (size[0] // 2, size[1] // 2), count + 1
    return count


def stage_widths(width: int, count: int) -> list[int]:
    """Widths that double with every stage, at most three times; the stages before that keep the first."""
    return [width * 2 ** max(0, i - max(0, count - DOUBLINGS)) for i in range(count)]


class HalvingStage(nn.Module):
    """Convolution of stride 2, batch norm unless it is the first, leaky ReLU. Biases would vanish in the norms."""

    def __init__(self, inputs: int, outputs: int, first: bool):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)
        self.norm = nn.Identity() if first else nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        return nn.functional.leaky_relu(self.norm(self.conv(x)), SLOPE)


class DoublingStage(nn.Module):
    """Transposed convolution that doubles the sides (or what is given instead), batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, conv: nn.Module | None = None):
        super().__init__()
        self.conv = conv or nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        return self.norm(self.conv(x)).relu()


class ChannelwiseLinear(nn.Module):
    """A linear map among the places of every channel alone: c (h w)^2 weights, and no channel sees another.

    Source: Pathak et al. 2016, section 3.1.
    """

    def __init__(self, channels: int, size: tuple[int, int]):
        super().__init__()
        places = size[0] * size[1]
        self.weight = nn.Parameter(torch.randn(channels, places, places) * SPREAD)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return torch.einsum("bcn,cmn->bcm", x.flatten(2), self.weight.to(x.dtype)).unflatten(-1, x.shape[-2:])


class HalvingEncoder(nn.Module):
    """Halves the picture as often as it goes, then joins all places of the last map.

    join: "dense", to a code of `latent` numbers, or "channelwise", to a map as large as before. width: of the first
    stage.
    Source: Pathak et al. 2016, train.lua of the released code; its stages are those of 64 and 128 pixels.
    """

    def __init__(
        self,
        image_size: int | tuple[int, int] = 128,
        channels: int = 3,
        latent: int = 4000,
        width: int = 64,
        join: str = "dense",
    ):
        super().__init__()
        check_choice("join", join, JOINS)
        self.image_size = (image_size, image_size) if isinstance(image_size, int) else image_size
        if min(*self.image_size, channels, latent, width) < 1:
            raise ValueError(
                f"image_size {image_size}, channels {channels}, latent {latent} and width {width} must be positive"
            )
        self.channels, self.count = channels, halvings(self.image_size)
        if self.count < 2:
            raise ValueError(
                f"pictures of {self.image_size[0]}x{self.image_size[1]} cannot be halved twice; set an image_size that"
                " is a multiple of 4 and larger than 8, best a power of two"
            )
        widths = stage_widths(width, self.count)
        self.stages = halving_stages(channels, widths)
        self.map = (self.image_size[0] >> self.count, self.image_size[1] >> self.count)
        self.code: nn.Module = nn.Conv2d(widths[-1], latent, self.map, bias=False)
        if join == "channelwise":
            self.code, latent = ChannelwiseLinear(widths[-1], self.map), widths[-1]
        self.latent, self.join = latent, join
        self.norm = nn.BatchNorm2d(latent)
        self.apply(started)

    def maps(self, image: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """The map after every stage, and the code, as a map of one place or of many."""
        if image.shape[1:] != (self.channels, *self.image_size):
            raise ValueError(
                f"image has {image.shape[1]} channels of {image.shape[2]}x{image.shape[3]}, this encoder was made for"
                f" {self.channels} of {self.image_size[0]}x{self.image_size[1]}"
            )
        maps = [image]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return [*maps[1:], nn.functional.leaky_relu(self.norm(self.code(maps[-1])), SLOPE)]

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        return self.maps(image)[-1]


class DoublingDecoder(nn.Module):
    """From a code to pixels between -1 and 1, of a size that the encoder's last map doubles to."""

    def __init__(self, encoder: HalvingEncoder, doublings: int, width: int = 64):
        super().__init__()
        widths = stage_widths(width, doublings)[::-1]
        start: nn.Module = nn.ConvTranspose2d(encoder.latent, widths[0], encoder.map, bias=False)
        if encoder.join == "channelwise":
            start = nn.Conv2d(encoder.latent, widths[0], 1, bias=False)
        self.start = DoublingStage(encoder.latent, widths[0], start)
        self.stages = nn.ModuleList(DoublingStage(*pair) for pair in pairwise(widths))
        self.last = nn.ConvTranspose2d(widths[-1], encoder.channels, 4, 2, 1, bias=False)
        self.apply(started)

    def forward(self, code: Float[Tensor, "b d i j"]) -> Float[Tensor, "b c h w"]:
        x = self.start(code)
        for stage in self.stages:
            x = stage(x)
        return self.last(x).float().tanh()


class PictureAdversary(nn.Module):
    """Gives a logit for every picture: high for real ones, low for those that were made."""

    def __init__(self, size: tuple[int, int], channels: int = 3, width: int = 64):
        super().__init__()
        count = halvings(size)
        if not count:
            raise ValueError(
                f"pictures of {size[0]}x{size[1]} cannot be halved, so nothing can judge them; enlarge them"
            )
        widths = stage_widths(width, count)
        self.stages = halving_stages(channels, widths)
        self.head = nn.Conv2d(widths[-1], 1, (size[0] >> count, size[1] >> count), bias=False)
        self.apply(started)

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b"]:
        x = image
        for stage in self.stages:
            x = stage(x)
        return self.head(x).flatten(1).squeeze(1).float()


def halving_stages(channels: int, widths: list[int]) -> nn.ModuleList:
    return nn.ModuleList(HalvingStage(*pair, first=i == 0) for i, pair in enumerate(pairwise([channels, *widths])))


def started(module: nn.Module) -> None:
    """Normal weights of a small deviation; those of norms around 1. Source: Radford et al. 2016 (DCGAN)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, SPREAD)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, SPREAD)
