"""Contrast between what belongs together and what does not."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from unmask.parts.losses.masked import masked_mean


def supervised_contrast(
    vectors: Float[Tensor, "b n d"],
    label: Int64[Tensor, "b n"],
    temperature: float,
    valid: Bool[Tensor, "b n"] | None = None,
) -> Float[Tensor, ""]:
    """-log softmax of the cosines to all other vectors of the row, at those with the same label.

    Averaged over the others with the same label, then over all vectors that have one. valid: False for vectors that
    do not count. Source: Khosla et al. 2020, supervised contrastive learning, equation 2.
    """
    unit = F.normalize(vectors.float(), dim=-1)
    other = ~torch.eye(label.shape[1], dtype=torch.bool, device=label.device)
    if valid is not None:
        other = other & valid.unsqueeze(-1) & valid.unsqueeze(-2)
    scores = (unit @ unit.transpose(-2, -1)).float() / temperature
    scores = scores.masked_fill(~other, torch.finfo(scores.dtype).min)
    alike = (label.unsqueeze(-1) == label.unsqueeze(-2)) & other
    error = -(scores.log_softmax(-1) * alike).sum(-1) / alike.sum(-1).clamp(min=1)
    return masked_mean(error, alike.any(-1))
