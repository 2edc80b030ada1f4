"""Transformer blocks that a vector modulates: adaLN-zero, rotary positions, gated perceptrons."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.parts.nets.linear import Linear
from unmask.parts.nets.transformer import Record
from unmask.parts.ops.attention import attend

EPS = 1e-5
MULTIPLE = 32  # the width of a gated perceptron is rounded up to it
TRUNCATED = 0.87962566103423978  # deviation of a standard normal that is cut at 2


def rotary(x: Float[Tensor, "b h n d"]) -> Float[Tensor, "b h n d"]:
    """Neighbouring pairs of numbers turned by place / 10000^(i / d). Source: Su et al. 2021 (RoFormer)."""
    n, d = x.shape[-2:]
    angle = torch.outer(torch.arange(n), 10000.0 ** (-torch.arange(0, d, 2) / d)).to(x)
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = even * angle.cos() - odd * angle.sin(), even * angle.sin() + odd * angle.cos()
    return torch.stack(turned, -1).flatten(-2)


def fan_in_normal(weight: Tensor, scale: float = 1.0) -> None:
    """Normal weights, cut at two deviations, of the variance scale / inputs, as flax makes them."""
    deviation = (scale / weight[0].numel()) ** 0.5 / TRUNCATED
    nn.init.trunc_normal_(weight, std=deviation, a=-2 * deviation, b=2 * deviation)


def dense(inputs: int, outputs: int, bias: bool = False, scale: float = 1.0) -> Linear:
    """A linear layer with `fan_in_normal` weights and no bias yet; a scale of 0 gives zeros."""
    layer = Linear(inputs, outputs, bias)
    if scale:
        fan_in_normal(layer.weight, scale)
    else:
        nn.init.zeros_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class Modulation(nn.Module):
    """From a vector to `parts` vectors of the width, all 0 at first."""

    def __init__(self, inputs: int, width: int, parts: int):
        super().__init__()
        self.parts = parts
        self.linear = dense(inputs, parts * width, bias=True, scale=0.0)

    def forward(self, condition: Float[Tensor, "b k"]) -> tuple[Tensor, ...]:
        return self.linear(condition.sigmoid()).unsqueeze(1).chunk(self.parts, -1)


def modulated(x: Float[Tensor, "b n d"], shift: Tensor, scale: Tensor) -> Float[Tensor, "b n d"]:
    """Normalised, scaled and shifted."""
    return F.layer_norm(x, x.shape[-1:], eps=EPS) * (scale + 1) + shift


class GatedPerceptron(nn.Module):
    """out(sigmoid(gate x) * in x)."""

    def __init__(self, width: int, scale: float):
        super().__init__()
        hidden = -(-int(8 * width / 3) // MULTIPLE) * MULTIPLE
        self.gate, self.inner = dense(width, hidden, scale=scale), dense(width, hidden, scale=scale)
        self.out = dense(hidden, width, scale=scale)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        return self.out(self.gate(x).sigmoid() * self.inner(x))


class AdaptiveBlock(nn.Module):
    """Attention and a gated perceptron, each normalised, modulated and gated by a condition."""

    def __init__(self, width: int, heads: int, condition: int, scale: float, dropout: float = 0.0):
        super().__init__()
        self.heads = heads
        self.qkv, self.attended = dense(width, 3 * width), dense(width, width)
        self.mlp = GatedPerceptron(width, scale)
        self.modulation = Modulation(condition, width, 6)
        self.drop = nn.Dropout1d(dropout)

    def forward(
        self, x: Float[Tensor, "b n d"], condition: Float[Tensor, "b k"], valid: Bool[Tensor, "b n"] | None = None
    ) -> Float[Tensor, "b n d"]:
        shift, scale, gate, shift2, scale2, gate2 = self.modulation(condition)
        x = x + gate * self._dropped(self._attention(modulated(x, shift, scale), valid))
        return x + gate2 * self._dropped(self.mlp(modulated(x, shift2, scale2)))

    def _attention(self, x: Float[Tensor, "b n d"], valid: Bool[Tensor, "b n"] | None) -> Float[Tensor, "b n d"]:
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        mixed = attend(rotary(q), rotary(k), v, None if valid is None else valid[:, None, None, :])
        return self.attended(mixed.transpose(1, 2).reshape(b, n, d))

    def _dropped(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Whole channels are left out, the same at all places."""
        return self.drop(x.transpose(1, 2)).transpose(1, 2) if self.drop.p else x


class AdaptiveTransformer(nn.Module):
    """Vectors at places to logits at places; nothing but zeros comes out at first.

    Source: Shi et al. 2024 (MD4), the released transformer with cond_type adaln_zero, mlp_type glu, depth-scaled
    initialisation.
    """

    def __init__(self, inputs: int, shape: tuple[int, int, int], condition: int, outputs: int, dropout: float = 0.0):
        super().__init__()
        width, depth, heads = shape
        if width % heads or width // heads % 2:
            raise ValueError(f"width {width} cannot be divided into {heads} heads of even width; choose another")
        self.embed = dense(inputs, width, bias=True)
        self.blocks = nn.ModuleList(AdaptiveBlock(width, heads, condition, 2 / depth, dropout) for _ in range(depth))
        self.modulation = Modulation(condition, width, 2)
        self.head = dense(width, outputs, scale=0.0)

    def forward(
        self,
        x: Float[Tensor, "b n k"],
        condition: Float[Tensor, "b c"],
        valid: Bool[Tensor, "b n"] | None = None,
        record: Record | None = None,
    ) -> Float[Tensor, "b n v"]:
        x = self.embed(x)
        for block in self.blocks:
            x = block(x, condition, valid)
            if record is not None:
                record.tokens.append(x)
        return self.head(modulated(x, *self.modulation(condition)))
