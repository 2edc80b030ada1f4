"""The point with the least sum of distances to given points."""

import torch
from jaxtyping import Float
from torch import Tensor

NEAR = 1e-6  # distances are not taken to be smaller
STEPS = 100


def geometric_median(points: Float[Tensor, "n d"]) -> Float[Tensor, "d"]:
    """By Weiszfeld's steps from the mean: the mean again and again, weighted by one over the distance to the last."""
    median, before = points.mean(0), torch.inf
    for _ in range(STEPS):
        distance = (points - median).norm(dim=-1).clamp(min=NEAR)
        median = (points / distance.unsqueeze(-1)).sum(0) / (1 / distance).sum()
        total = float((points - median).norm(dim=-1).sum())
        if before - total <= 1e-9 * total:
            break
        before = total
    return median
