"""ConvNeXts that compute at the active positions only, under the names of the released code."""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from unmask.parts.nets.linear import Linear, of_gelu, of_norm
from unmask.parts.nets.masked_conv import Active, MaskedConv2d, MaskedLayerNorm2d, active_rows, from_rows

EPS = 1e-6  # LayerNorm epsilon of the released code
SPREAD = 0.02  # standard deviation of the first weights, idem


class ConvNeXtBlock(nn.Module):
    """A wide depthwise convolution, then an MLP at every active position, scaled and added.

    scale: first value of the learned factor per channel.
    Source: Liu et al. 2022 (ConvNeXt), figure 4.
    """

    def __init__(self, width: int, kernel: int = 7, drop_path: float = 0.0, scale: float = 1e-6):
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.pwconv1 = Linear(width, 4 * width)
        self.pwconv2 = Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.full((width,), scale))
        self.drop = StochasticDepth(drop_path, "row") if drop_path else nn.Identity()

    def forward(self, x: Float[Tensor, "b d h w"], active: Active | None = None) -> Float[Tensor, "b d h w"]:
        rows = active_rows(self.dwconv(x), active)
        rows = self.gamma * of_gelu(self.pwconv2, of_norm(self.pwconv1, self.norm, rows))
        return x + self.drop(from_rows(rows, x, active))


class ConvNeXt(nn.Module):
    """From a picture to one map per stage, finest first. Every stage but the first halves the sides.

    stem: side of the squares that the first convolution reads, 4 for large pictures, 2 or 1 for small ones.
    drop_path: rate of the last block; grows linearly from 0.
    Source: Liu et al. 2022 (ConvNeXt), without its classifier; facebookresearch/ConvNeXt, models/convnext.py (MIT).
    Differs: squares of one pixel would mix no places, so that a stem of 1 is a 3x3 convolution.
    """

    norm = MaskedLayerNorm2d

    def __init__(
        self,
        widths: Sequence[int],
        depths: Sequence[int],
        stem: int = 4,
        channels: int = 3,
        drop_path: float = 0.0,
        kernel: int = 7,
    ):
        super().__init__()
        self.widths = tuple(widths)
        self.strides = tuple(stem * 2**i for i in range(len(widths)))
        first = (
            MaskedConv2d(channels, widths[0], stem, stem) if stem > 1 else MaskedConv2d(channels, widths[0], 3, 1, 1)
        )
        self.downsample_layers = nn.ModuleList([nn.ModuleList([first, MaskedLayerNorm2d(widths[0])])])
        for narrow, wide in pairwise(widths):
            halving = [MaskedLayerNorm2d(narrow), MaskedConv2d(narrow, wide, 2, 2)]
            self.downsample_layers.append(nn.ModuleList(halving))
        last = max(sum(depths) - 1, 1)
        rates = iter([drop_path * place / last for place in range(sum(depths))])
        self.stages = nn.ModuleList(
            nn.ModuleList(ConvNeXtBlock(width, kernel, next(rates)) for _ in range(depth))
            for width, depth in zip(widths, depths, strict=True)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=SPREAD)
                nn.init.zeros_(cast(nn.Parameter, module.bias))

    def forward(self, image: Float[Tensor, "b c h w"], active: Active | None = None) -> list[Float[Tensor, "b _ _ _"]]:
        x, stages = image, []
        for entrance, blocks in zip(self.downsample_layers, self.stages, strict=True):
            for module in (*entrance, *blocks):
                x = module(x, active)
            stages.append(x)
        return stages
