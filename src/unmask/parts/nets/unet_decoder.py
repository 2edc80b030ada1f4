"""The light decoder from the maps of all stages to pixels: coarse to fine, a stage joining at its own resolution."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu6

from unmask.parts.nets.convnet import ConvNet
from unmask.parts.nets.masked_conv import (
    Active,
    MaskedBatchNorm2d,
    MaskedConv2d,
    MaskedConvTranspose2d,
    only_active,
)
from unmask.parts.nets.transformer import Record

SPREAD = 0.02  # standard deviation of the first weights; mask tokens are cut off at it


class Densify(nn.Module):
    """A stage's map without holes: normalised where it is active, a mask token elsewhere, brought to another width.

    norm: makes the norm of a width. kernel: of the last convolution, which is left out where it has nothing to do,
    if 1. convolution: its class, of pictures or of volumes.
    Source: Tian et al. 2023, section 3.2.
    """

    def __init__(
        self,
        norm: Callable[[int], nn.Module],
        width: int,
        outputs: int,
        kernel: int,
        convolution: type[nn.Module] = MaskedConv2d,
    ):
        super().__init__()
        self.norm = norm(width)
        self.mask_token = nn.Parameter(torch.empty(width))
        same = kernel == 1 and width == outputs
        self.project = None if same else convolution(width, outputs, kernel, padding=kernel // 2)
        nn.init.trunc_normal_(self.mask_token, std=SPREAD, a=-SPREAD, b=SPREAD)

    def forward(
        self, x: Float[Tensor, "b d *grid"], seen: Active | None, real: Active | None
    ) -> Float[Tensor, "b k *grid"]:
        """seen: where x was computed. real: where the picture is; beyond it nothing is filled in."""
        x = self.norm(x, seen)
        if seen is not None:
            token = self.mask_token.to(x.dtype).reshape(-1, *[1] * (x.ndim - 2))
            x = torch.where(seen.at(x), x, token)
        x = only_active(x, real)
        return x if self.project is None else self.project(x, real)


class DoublingBlock(nn.Module):
    """Doubles the sides, then two convolutions. Source: Tian et al. 2023, appendix; UNetBlock of the released code."""

    def __init__(self, width: int, outputs: int):
        super().__init__()
        self.enlarge = MaskedConvTranspose2d(width, width, 4, 2, 1)
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, padding=1, bias=False), MaskedBatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, outputs, 3, padding=1, bias=False), MaskedBatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "b d h w"], real: Active | None = None) -> Float[Tensor, "b k i j"]:
        x = relu6(self.norm1(self.conv1(self.enlarge(x, real)), real))
        return self.norm2(self.conv2(x), real)


class UNetDecoder(nn.Module):
    """Predicts the pixels of a picture from what the encoder computed at the visible cells, at all of its stages.

    width: channels at the coarsest resolution, halved with every doubling of the sides.
    stages: how many of the encoder's stages are used, the coarsest ones. Default: all.
    Source: Tian et al. 2023 (LightDecoder of the released code). Differs: an encoder whose finest stage has the
    resolution of the picture joins it before the last convolution.
    """

    def __init__(self, encoder: ConvNet, width: int = 768, stages: int | None = None):
        super().__init__()
        used = len(encoder.widths) if stages is None else stages
        doublings = encoder.strides[-1].bit_length() - 1
        if not 1 <= used <= len(encoder.widths):
            raise ValueError(f"stages {stages} are not there; the encoder has 1 to {len(encoder.widths)}")
        if encoder.strides[-used:] != tuple(2**i for i in range(doublings + 1 - used, doublings + 1)):
            raise ValueError(f"stages of strides {encoder.strides} do not double; pass a network whose stages do")
        if width % 2**doublings:
            raise ValueError(f"width {width} cannot be halved {doublings} times; choose a multiple of {2**doublings}")
        widths = [width // 2**i for i in range(doublings + 1)]
        pairs = list(zip(reversed(encoder.widths), widths, strict=False))[:used]
        self.densify = nn.ModuleList(
            Densify(encoder.network.norm, inputs, outputs, 3 if i else 1) for i, (inputs, outputs) in enumerate(pairs)
        )
        self.blocks = nn.ModuleList(map(DoublingBlock, widths[:-1], widths[1:]))
        self.head = nn.Conv2d(widths[-1], encoder.channels, 1)
        for module in (self.head, *self.blocks.modules()):
            if isinstance(module, nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=SPREAD)
            elif isinstance(module, nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(
        self,
        stages: list[Float[Tensor, "b _ _ _"]],
        seen: Active | None,
        real: Active | None = None,
        record: Record | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """stages: as the encoder gives them. seen: where it computed. real: where the picture is, None: everywhere."""
        filled = [densify(x, seen, real) for densify, x in zip(self.densify, reversed(stages), strict=False)]
        x = filled[0]
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, real)
            if record is not None:
                record.tokens.append(x.flatten(2).transpose(1, 2))
            if number < len(filled):
                x = x + filled[number]
        return self.head(x)
