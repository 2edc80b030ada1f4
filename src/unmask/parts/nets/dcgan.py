"""Strided convolutions down to a code and up again, for pictures of any size and channel count."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unmask.parts.nets.linear import Linear

INIT = 0.01  # deviation of all weights at the start
EPS, MOMENTUM = 1e-5, 0.1  # of the batch norms


class ConvEncoder(nn.Module):
    """Halves the picture `layers` times while the width doubles up to `width`, then one linear layer to the code.

    latent: numbers of a code. kernel: side of the filters. spread: also give a log-variance for every number.
    Source: Radford et al. 2016 (DCGAN); padding, initialisation and norms of tolstikhin/wae, models.py.
    """

    def __init__(
        self,
        image_size: int | tuple[int, int] = 64,
        channels: int = 3,
        latent: int = 64,
        width: int = 1024,
        layers: int = 4,
        kernel: int = 5,
        spread: bool = False,
    ):
        super().__init__()
        self.image_size = (image_size, image_size) if isinstance(image_size, int) else image_size
        if min(*self.image_size, channels, latent, layers, kernel) < 1 or width < 2 ** (layers - 1):
            raise ValueError(
                f"image_size {image_size}, channels {channels}, latent {latent}, layers {layers} and kernel {kernel}"
                f" must be positive, and width {width} at least 2 ** (layers - 1) = {2 ** max(layers - 1, 0)}"
            )
        self.channels, self.latent, self.width, self.layers, self.kernel = channels, latent, width, layers, kernel
        widths = [channels, *(width // 2 ** (layers - 1 - i) for i in range(layers))]
        self.stages = nn.ModuleList(ConvStage(*pair, kernel) for pair in pairwise(widths))
        height, wide = (math.ceil(side / 2**layers) for side in self.image_size)
        self.code = started(Linear(width * height * wide, latent))
        self.log_variance = started(Linear(width * height * wide, latent)) if spread else None

    def maps(self, image: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """The feature map after every stage."""
        if image.shape[1:] != (self.channels, *self.image_size):
            raise ValueError(
                f"image has {image.shape[1]} channels of {image.shape[2]}x{image.shape[3]}, this encoder was made for"
                f" {self.channels} of {self.image_size[0]}x{self.image_size[1]}"
            )
        maps = [image]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]

    def forward(self, image: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b z"], Float[Tensor, "b z"] | None]:
        """The code and, with `spread`, its log-variance."""
        last = self.maps(image)[-1].flatten(1)
        return self.code(last).float(), None if self.log_variance is None else self.log_variance(last).float()


class ConvDecoder(nn.Module):
    """From a code to pictures: the encoder's widths in reverse; the last layer keeps the size, so one doubling is less.

    width: of the first map; default: the encoder's. Values are before any squashing.
    Source: "dcgan_mod" of tolstikhin/wae, models.py.
    """

    def __init__(self, encoder: ConvEncoder, width: int | None = None):
        super().__init__()
        self.size, layers, kernel = encoder.image_size, encoder.layers, encoder.kernel
        width = width or encoder.width
        height, wide = (math.ceil(side / 2 ** (layers - 1)) for side in self.size)
        self.start = (width, height, wide)
        self.spread = started(Linear(encoder.latent, width * height * wide))
        widths = [width // 2**i for i in range(layers)]
        self.stages = nn.ModuleList(DeconvStage(*pair, kernel) for pair in pairwise(widths))
        self.last = SameDeconv(widths[-1], encoder.channels, kernel, 1)

    def forward(self, code: Float[Tensor, "b z"]) -> Float[Tensor, "b c h w"]:
        x = self.spread(code).relu().unflatten(1, self.start)
        for stage in self.stages:
            x = stage(x)
        return self.last(x)[..., : self.size[0], : self.size[1]].float()


class ConvStage(nn.Module):
    """Convolution of stride 2 with a rounded-up output size, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=2)
        self.norm = nn.BatchNorm2d(outputs, EPS, MOMENTUM)
        nn.init.trunc_normal_(self.conv.weight, std=INIT, a=-2 * INIT, b=2 * INIT)
        nn.init.zeros_(self.conv.get_parameter("bias"))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d H W"]:
        (top, bottom), (left, right) = (margins(side, self.conv.kernel_size[0], 2) for side in x.shape[-2:])
        return self.norm(self.conv(F.pad(x, (left, right, top, bottom)))).relu()


class DeconvStage(nn.Module):
    """Transposed convolution that doubles the size, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int):
        super().__init__()
        self.conv = SameDeconv(inputs, outputs, kernel, 2)
        self.norm = nn.BatchNorm2d(outputs, EPS, MOMENTUM)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d H W"]:
        return self.norm(self.conv(x)).relu()


class SameDeconv(nn.Module):
    """The transpose of a convolution with that stride whose output is its input's size / stride."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int):
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, kernel, stride)
        nn.init.normal_(self.conv.weight, std=INIT)
        nn.init.zeros_(self.conv.get_parameter("bias"))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d H W"]:
        stride, kernel = self.conv.stride[0], self.conv.kernel_size[0]
        height, width = (side * stride for side in x.shape[-2:])
        top, left = margins(height, kernel, stride)[0], margins(width, kernel, stride)[0]
        whole = F.pad(self.conv(x), (0, max(stride - kernel, 0), 0, max(stride - kernel, 0)))
        return whole[..., top : top + height, left : left + width]


def margins(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, so that a convolution gives ceil(side / stride) numbers; the larger half after."""
    total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def started(linear: Linear) -> Linear:
    """The layer with small normal weights and no bias yet."""
    nn.init.normal_(linear.weight, std=INIT)
    nn.init.zeros_(linear.bias)
    return linear


def pooled(maps: list[torch.Tensor]) -> tuple[Float[Tensor, "b d"], ...]:
    """The mean over the places of every feature map."""
    return tuple(found.float().mean((-2, -1)) for found in maps)
