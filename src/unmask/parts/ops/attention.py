"""Attention between all tokens: fused where that is fast, explicit where it is not.

On a CPU in half precision the backward pass of the fused kernel is slow: 197 tokens of width 32, 256 heads, two cores
with AMX take 9 + 57 ms forward and backward, the explicit one here 11 + 14 ms. In float32 the fused kernel wins
(12 + 29 against 22 + 25); on accelerators it is torch's choice. `benchmarks/operations.py` measures this anywhere.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

CACHED = 1_250_000  # bytes of attention weights worked on at a time, so that they stay in a core's second-level cache
HALF = (torch.bfloat16, torch.float16)


def attend(
    q: Float[Tensor, "b heads n d"],
    k: Float[Tensor, "b heads m d"],
    v: Float[Tensor, "b heads m d"],
    allowed: Bool[Tensor, "b #heads #n m"] | None = None,
) -> Float[Tensor, "b heads n d"]:
    """softmax(q k' / sqrt(d)) v, the softmax in float32. allowed: False where a key must not be attended to."""
    if allowed is None and q.device.type == "cpu" and q.dtype in HALF:
        return _Explicit.apply(q, k, v)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)


class _Explicit(torch.autograd.Function):
    """Attention a few heads at a time, keeping the attention weights for the backward pass in half precision."""

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        shape, scale = q.shape, q.shape[-1] ** -0.5
        q, k, v = (x.reshape(-1, *x.shape[2:]) for x in (q * scale, k, v))
        weights = q.new_empty(q.shape[0], q.shape[1], k.shape[1])
        mixed = torch.empty_like(q)
        for some in _groups(weights):
            torch._softmax(torch.bmm(q[some], k[some].transpose(1, 2)), -1, False, out=weights[some])
            torch.bmm(weights[some], v[some], out=mixed[some])
        ctx.save_for_backward(q, k, v, weights)
        ctx.scale = scale
        return mixed.view(shape)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[override]
        q, k, v, weights = ctx.saved_tensors
        shape = gradient.shape
        gradient = gradient.reshape(q.shape)
        dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        for some in _groups(weights):
            torch.bmm(weights[some].transpose(1, 2), gradient[some], out=dv[some])
            slope = torch.bmm(gradient[some], v[some].transpose(1, 2))
            slope = torch._softmax_backward_data(slope, weights[some], -1, slope.dtype)
            torch.bmm(slope, k[some], out=dq[some])
            torch.bmm(slope.transpose(1, 2), q[some], out=dk[some])
        back = (*shape[:2], k.shape[1], k.shape[2])
        return (dq * ctx.scale).view(shape), dk.view(back), dv.view(back)


def _groups(weights: Float[Tensor, "h n m"]) -> list[slice]:
    """Ranges of heads whose weights fit the cache together."""
    size = max(1, CACHED // (weights[0].numel() * weights.element_size()))
    return [slice(i, i + size) for i in range(0, weights.shape[0], size)]
