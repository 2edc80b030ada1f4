"""What the codes of a data set are like: units in use, and how far their moments are from the standard normal's."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

ACTIVE = 0.01  # variance of a unit's expectation from which it counts as active


def active_units(means: Float[Tensor, "n d"], least: float = ACTIVE) -> int:
    """How many units' expectations vary over the data.

    Source: Burda et al. 2016 (IWAE), section 5.2.
    """
    return int((means.double().var(0, unbiased=False) > least).sum())


def perplexity(ids: Int64[Tensor, "*b"]) -> float:
    """How many entries of a codebook are in use: the exponential of the entropy of their shares."""
    shares = ids.flatten().bincount().double() / ids.numel()
    return float((-(shares * shares.clamp(min=torch.finfo(shares.dtype).tiny).log()).sum()).exp())


def moments(codes: Float[Tensor, "n d"]) -> dict[str, float]:
    """How far codes are from the standard normal: |mean| / sqrt(d), and |covariance - 1| / sqrt(d) (Frobenius)."""
    wide = codes.double()
    width = wide.shape[-1]
    gap = torch.cov(wide.T).reshape(width, width) - torch.eye(width, dtype=wide.dtype, device=wide.device)
    return {"mean": float(wide.mean(0).norm() / width**0.5), "covariance": float(gap.norm() / width**0.5)}
