"""ResNets that compute at the active positions only, under torchvision's names.

No convolution masks its result: the norm that follows reads the active positions and leaves 0 at all others.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from unmask.parts.nets.masked_conv import Active, MaskedBatchNorm2d, MaskedMaxPool2d


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Without bias, since a norm follows; sides are divided by the stride and rounded up."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class Shortcut(nn.ModuleList):
    """What is added to a block's result: its input, through a 1x1 convolution and a norm where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        changes = stride > 1 or inputs != outputs
        super().__init__([convolution(inputs, outputs, 1, stride), MaskedBatchNorm2d(outputs)] if changes else [])

    def forward(self, x: Float[Tensor, "b d h w"], active: Active | None) -> Float[Tensor, "b k i j"]:
        if not len(self):
            return x
        reduce, norm = self
        return norm(reduce(x), active)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut. Source: He et al. 2016, figure 5 left."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int = 1, drop_path: float = 0.0):
        super().__init__()
        self.conv1, self.bn1 = convolution(inputs, width, 3, stride), MaskedBatchNorm2d(width)
        self.conv2, self.bn2 = convolution(width, width, 3), MaskedBatchNorm2d(width)
        self.downsample = Shortcut(inputs, width, stride)
        self.drop = StochasticDepth(drop_path, "row") if drop_path else nn.Identity()
        nn.init.zeros_(self.bn2.weight)

    def forward(self, x: Float[Tensor, "b d h w"], active: Active | None = None) -> Float[Tensor, "b k i j"]:
        y = F.relu(self.bn1(self.conv1(x), active))
        return F.relu(self.drop(self.bn2(self.conv2(y), active)) + self.downsample(x, active))


class Bottleneck(nn.Module):
    """A 3x3 convolution with the stride, between two of 1x1, and a shortcut. Source: He et al. 2016, figure 5 right."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int = 1, drop_path: float = 0.0):
        super().__init__()
        outputs = width * self.expansion
        self.conv1, self.bn1 = convolution(inputs, width, 1), MaskedBatchNorm2d(width)
        self.conv2, self.bn2 = convolution(width, width, 3, stride), MaskedBatchNorm2d(width)
        self.conv3, self.bn3 = convolution(width, outputs, 1), MaskedBatchNorm2d(outputs)
        self.downsample = Shortcut(inputs, outputs, stride)
        self.drop = StochasticDepth(drop_path, "row") if drop_path else nn.Identity()
        nn.init.zeros_(self.bn3.weight)

    def forward(self, x: Float[Tensor, "b d h w"], active: Active | None = None) -> Float[Tensor, "b k i j"]:
        y = F.relu(self.bn1(self.conv1(x), active))
        y = F.relu(self.bn2(self.conv2(y), active))
        return F.relu(self.drop(self.bn3(self.conv3(y), active)) + self.downsample(x, active))


class ResNet(nn.Module):
    """From a picture to one map per stage, finest first. Every stage but the first halves the sides.

    stem: what the first stage's sides are divided by: 4 (7x7 convolution and pooling, for large pictures), 2 (without
    pooling), or 1 (3x3 convolution, for small ones). drop_path: rate of the last block; grows linearly from 0.
    Source: He et al. 2016; initialisation of timm, whose blocks begin as their shortcuts.
    """

    norm = MaskedBatchNorm2d

    def __init__(
        self,
        widths: Sequence[int],
        depths: Sequence[int],
        block: type[BasicBlock] | type[Bottleneck] = BasicBlock,
        stem: int = 4,
        channels: int = 3,
        drop_path: float = 0.0,
    ):
        super().__init__()
        self.widths = tuple(width * block.expansion for width in widths)
        self.strides = tuple(stem * 2**i for i in range(len(widths)))
        self.conv1 = convolution(channels, widths[0], 3) if stem == 1 else convolution(channels, widths[0], 7, 2)
        self.bn1 = MaskedBatchNorm2d(widths[0])
        self.maxpool = MaskedMaxPool2d(3, 2, 1) if stem == 4 else None
        inputs, place, last = widths[0], 0, max(sum(depths) - 1, 1)
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
            blocks = nn.ModuleList()
            for i in range(depth):
                stride = 2 if number > 1 and i == 0 else 1
                blocks.append(block(inputs, width, stride, drop_path * place / last))
                inputs, place = width * block.expansion, place + 1
            self.add_module(f"layer{number}", blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Float[Tensor, "b c h w"], active: Active | None = None) -> list[Float[Tensor, "b _ _ _"]]:
        x = F.relu(self.bn1(self.conv1(image), active))
        if self.maxpool is not None:
            x = self.maxpool(x, active)
        stages = []
        for number in range(1, len(self.widths) + 1):
            for block in self.get_submodule(f"layer{number}"):  # type: ignore[attr-defined]
                x = block(x, active)
            stages.append(x)
        return stages
