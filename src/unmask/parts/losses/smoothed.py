"""Cross-entropy with smoothed labels over chosen places."""

from jaxtyping import Bool, Float, Int64
from torch import Tensor


def smoothed_cross_entropy(
    scores: Float[Tensor, "b n k"], ids: Int64[Tensor, "b n"], counted: Bool[Tensor, "b n"], smoothing: float = 0.1
) -> Float[Tensor, ""]:
    """The mean over the counted places of every sample, then over the samples that have any.

    The wanted id has the share 1 - smoothing + smoothing / k, every other smoothing / k.
    Source: Chang et al. 2022 (MaskGIT), losses.py of the released code.
    """
    logs = scores.float().log_softmax(-1)
    right = logs.gather(-1, ids.unsqueeze(-1)).squeeze(-1)
    loss = -(1 - smoothing) * right - smoothing * logs.mean(-1)
    weight = counted.to(loss.dtype)
    each = (loss * weight).sum(-1) / weight.sum(-1).clamp(min=1)
    return each.sum() / counted.any(-1).sum().clamp(min=1)
