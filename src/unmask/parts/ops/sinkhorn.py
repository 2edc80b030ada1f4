"""Assignments of samples to clusters of equal size."""

from jaxtyping import Float
from torch import Tensor


def sinkhorn(scores: Float[Tensor, "n k"], temperature: float = 0.05, rounds: int = 3) -> Float[Tensor, "n k"]:
    """Soft assignments: exp(scores / temperature), scaled in turn until all columns weigh alike and all rows are 1.

    Rows sum to 1 exactly, columns to n / k as closely as the rounds allow.
    Source: Cuturi 2013; as used for clustering by Caron et al. 2020 (SwAV).
    """
    weight = scores.float() / temperature
    for _ in range(rounds):
        weight = weight - weight.logsumexp(0, keepdim=True)
        weight = weight - weight.logsumexp(1, keepdim=True)
    return weight.exp()
