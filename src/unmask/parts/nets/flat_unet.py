"""A U-Net without levels: residual blocks at full size, the later ones given what the earlier ones found."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unmask.parts.nets.adaptive import dense, fan_in_normal
from unmask.parts.nets.transformer import Record
from unmask.parts.ops.attention import attend

GROUPS, EPS = 32, 1e-6


def group_norm(width: int) -> nn.GroupNorm:
    """32 groups, or as many as both numbers can be divided into."""
    return nn.GroupNorm(math.gcd(GROUPS, width), width, eps=EPS)


def convolution(inputs: int, outputs: int, scale: float = 1.0) -> nn.Conv2d:
    """3x3, of `fan_in_normal` weights and no bias yet; a scale of 0 gives zeros."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1)
    if scale:
        fan_in_normal(layer.weight, scale)
    else:
        nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class ResidualBlock(nn.Module):
    """Two convolutions, the second zero at first; the condition is added between them."""

    def __init__(self, inputs: int, width: int, condition: int, dropout: float = 0.0):
        super().__init__()
        self.norm1, self.conv1 = group_norm(inputs), convolution(inputs, width)
        self.condition = dense(condition, width, scale=0.0)
        self.norm2, self.conv2 = group_norm(width), convolution(width, width, 0.0)
        self.drop = nn.Dropout(dropout)
        self.skip = dense(inputs, width, bias=True) if inputs != width else None

    def forward(self, x: Float[Tensor, "b k h w"], condition: Float[Tensor, "b c"]) -> Float[Tensor, "b d h w"]:
        found = self.conv1(F.silu(self.norm1(x))) + self.condition(condition)[..., None, None]
        found = self.conv2(self.drop(F.silu(self.norm2(found))))
        return found + (x if self.skip is None else self.skip(x.movedim(1, -1)).movedim(-1, 1))


class PixelAttention(nn.Module):
    """Every pixel asks all others, with one head."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = group_norm(width)
        self.qkv, self.out = dense(width, 3 * width, bias=True), dense(width, width, bias=True)

    def forward(self, x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        h, w = x.shape[-2:]
        q, k, v = self.qkv(self.norm(x).flatten(2).transpose(1, 2)).unsqueeze(1).chunk(3, -1)
        return x + self.out(attend(q, k, v).squeeze(1)).transpose(1, 2).unflatten(2, (h, w))


class FlatUNet(nn.Module):
    """`depth` blocks down, two with attention between them, `depth` + 1 up; nothing but zeros comes out at first.

    Source: Shi et al. 2024 (MD4), the released networks/unet.py, after Kingma et al. 2021.
    """

    def __init__(self, inputs: int, width: int, depth: int, condition: int, outputs: int, dropout: float = 0.0):
        super().__init__()
        self.embed = convolution(inputs, width)
        self.down, self.middle = (
            nn.ModuleList(ResidualBlock(width, width, condition, dropout) for _ in range(count)) for count in (depth, 2)
        )
        self.attention = PixelAttention(width)
        self.up = nn.ModuleList(ResidualBlock(2 * width, width, condition, dropout) for _ in range(depth + 1))
        self.norm = group_norm(width)
        self.head = convolution(width, outputs, 0.0)

    def forward(
        self, x: Float[Tensor, "b k h w"], condition: Float[Tensor, "b c"], record: Record | None = None
    ) -> Float[Tensor, "b v h w"]:
        """record: what every block says, as tokens."""
        x = self.embed(x)
        waiting = [x]
        for block in self.down:
            x = block(x, condition)
            waiting.append(x)
            _note(record, x)
        x = self.middle[1](self.attention(self.middle[0](x, condition)), condition)
        _note(record, x)
        for block in self.up:
            x = block(torch.cat([x, waiting.pop()], 1), condition)
            _note(record, x)
        return self.head(F.silu(self.norm(x)))


def _note(record: Record | None, x: Float[Tensor, "b d h w"]) -> None:
    if record is not None:
        record.tokens.append(x.flatten(2).transpose(1, 2))
