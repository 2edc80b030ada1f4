"""The pre-norm transformer that encoders and decoders share."""

from dataclasses import dataclass, field
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from unmask.parts.nets.linear import Linear, of_gelu, of_norm
from unmask.parts.ops.attention import attend

EPS = 1e-6  # LayerNorm epsilon of ViT; torch's default is 1e-5


@dataclass
class Record:
    """Collects what the blocks compute while a network runs.

    attention: also keep the softmax maps, averaged over nothing: [b heads n n] per block.
    last: of the last block alone, so that the others need not write theirs out.
    """

    attention: bool = False
    last: bool = False
    tokens: list[Tensor] = field(default_factory=list)
    maps: list[Tensor] = field(default_factory=list)


class Attention(nn.Module):
    """Multi-head self-attention; places that are not valid are never attended to.

    bias: whether queries, keys and values have one. key_bias: False leaves out that of the keys alone, which changes no
    attention. Source: Bao et al. 2022 (BEiT).
    """

    def __init__(self, width: int, heads: int, bias: bool = True, key_bias: bool = True):
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} cannot be divided into {heads} heads; choose a divisor")
        self.heads = heads
        apart = bias and not key_bias
        self.qkv = Linear(width, 3 * width, bias and key_bias)
        self.query_bias = nn.Parameter(torch.zeros(heads, 1, width // heads)) if apart else None
        self.value_bias = nn.Parameter(torch.zeros(heads, 1, width // heads)) if apart else None
        self.out = Linear(width, width)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        norm: nn.LayerNorm,
        valid: Bool[Tensor, "b n"] | None = None,
        record: Record | None = None,
    ) -> Float[Tensor, "b n d"]:
        """norm: applied to x before anything else."""
        b, n, d = x.shape
        q, k, v = of_norm(self.qkv, norm, x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        if self.query_bias is not None and self.value_bias is not None:
            q, v = q + self.query_bias.to(q.dtype), v + self.value_bias.to(v.dtype)
        allowed = None if valid is None else valid[:, None, None, :]
        if record is not None and record.attention:
            scores = (q @ k.transpose(-2, -1)).float() * (d // self.heads) ** -0.5
            if allowed is not None:
                scores = scores.masked_fill(~allowed, -torch.inf)
            attention = scores.softmax(-1)
            record.maps.append(attention)
            mixed = attention.to(v.dtype) @ v
        else:
            mixed = attend(q, k, v, allowed)
        return self.out(mixed.transpose(1, 2).reshape(b, n, d))


class LayerScale(nn.Module):
    """A learned factor per channel on a residual branch. Source: Touvron et al. 2021 (CaiT)."""

    def __init__(self, width: int, initial: float):
        super().__init__()
        self.factor = nn.Parameter(torch.full((width,), initial))

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        return x * self.factor


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), each branch scaled and dropped at random if asked for.

    bias, key_bias: of queries, keys and values, see Attention. eps: of the norms.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        drop_path: float = 0.0,
        layer_scale: float | None = None,
        bias: bool = True,
        eps: float = EPS,
        key_bias: bool = True,
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attention = Attention(width, heads, bias, key_bias)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = nn.Sequential(Linear(width, 4 * width), nn.GELU(), Linear(4 * width, width))
        self.scale1 = nn.Identity() if layer_scale is None else LayerScale(width, layer_scale)
        self.scale2 = nn.Identity() if layer_scale is None else LayerScale(width, layer_scale)
        self.drop = StochasticDepth(drop_path, "row") if drop_path else nn.Identity()

    def forward(
        self, x: Float[Tensor, "b n d"], valid: Bool[Tensor, "b n"] | None = None, record: Record | None = None
    ) -> Float[Tensor, "b n d"]:
        x = x + self.drop(self.scale1(self.attention(x, self.norm1, valid, record)))
        wide, _, narrow = cast(tuple[Linear, nn.GELU, Linear], tuple(self.mlp))
        return x + self.drop(self.scale2(of_gelu(narrow, of_norm(wide, self.norm2, x))))


class Transformer(nn.Module):
    """Blocks and a final norm. Drop path grows linearly from 0 to `drop_path` over the blocks.

    between: modules with a block's arguments that run after blocks, by the block's number from 1; none at first.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        drop_path: float = 0.0,
        layer_scale: float | None = None,
        key_bias: bool = True,
    ):
        super().__init__()
        rates = [drop_path * i / max(depth - 1, 1) for i in range(depth)]
        self.blocks = nn.ModuleList(Block(width, heads, rate, layer_scale, key_bias=key_bias) for rate in rates)
        self.between = nn.ModuleDict()
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.apply(initialise)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        valid: Bool[Tensor, "b n"] | None = None,
        record: Record | None = None,
        layers: int | None = None,
    ) -> Float[Tensor, "b n d"]:
        """layers: stop after that many blocks and skip the final norm."""
        blocks = self.blocks if layers is None else self.blocks[:layers]
        for number, block in enumerate(blocks, start=1):
            left_out = record is not None and record.last and number < len(blocks)
            x = block(x, valid, None if left_out else record)
            if str(number) in self.between:
                x = self.between[str(number)](x, valid, record)
            if record is not None:
                record.tokens.append(x)
        return self.norm(x) if layers is None else x


def initialise(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases for linear layers. Source: the released code of MAE."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
