"""A transformer whose queries mix only their best keys, computed with the weights of an ordinary one."""

from collections.abc import Iterable
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.parts.nets.linear import of_norm
from unmask.parts.nets.transformer import Attention, Block, Record, Transformer


def best_keys(
    scores: Float[Tensor, "b heads n m"], top: int, valid: Bool[Tensor, "b m"] | None = None
) -> Float[Tensor, "b heads n m"]:
    """softmax over the `top` highest valid scores of every row, 0 elsewhere."""
    if valid is not None:
        scores = scores.masked_fill(~valid[:, None, None], -torch.inf)
    values, keys = scores.topk(min(top, scores.shape[-1]), dim=-1)
    return torch.zeros_like(scores).scatter(-1, keys, values.softmax(-1))


def top_attention(
    attention: Attention,
    norm: nn.LayerNorm,
    x: Float[Tensor, "b n d"],
    top: int,
    valid: Bool[Tensor, "b n"] | None = None,
    record: Record | None = None,
) -> Float[Tensor, "b n d"]:
    """What `attention` would give of norm(x) if every query saw its `top` best keys alone."""
    b, n, d = x.shape
    heads = attention.heads
    q, k, v = of_norm(attention.qkv, norm, x).reshape(b, n, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
    weights = best_keys((q @ k.transpose(-2, -1)).float() * (d // heads) ** -0.5, top, valid)
    if record is not None and record.attention:
        record.maps.append(weights)
    return attention.out((weights.to(v.dtype) @ v).transpose(1, 2).reshape(b, n, d))


def transform_by_top(
    trunk: Transformer,
    x: Float[Tensor, "b n d"],
    top: int,
    valid: Bool[Tensor, "b n"] | None = None,
    record: Record | None = None,
) -> Float[Tensor, "b n d"]:
    """The blocks of `trunk` and its norm, with `top_attention` in place of attention."""
    for block in cast(Iterable[Block], trunk.blocks):
        x = x + block.drop(block.scale1(top_attention(block.attention, block.norm1, x, top, valid, record)))
        x = x + block.drop(block.scale2(block.mlp(block.norm2(x))))
        if record is not None:
            record.tokens.append(x)
    return trunk.norm(x)
