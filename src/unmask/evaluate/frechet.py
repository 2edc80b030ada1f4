"""Frechet distance between two sets of features: how far made pictures are from real ones, in the eyes of a network.

The number means nothing without the network whose features these are: name it. With another network, other sizes or
another number of pictures it is another number.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def frechet_distance(one: Float[Tensor, "n d"], other: Float[Tensor, "m d"]) -> float:
    """Squared Wasserstein distance between the Gaussians with the means and covariances of two sets of features.

    It is biased upwards by about 1 / n: compare sets of the same size. Raises ValueError for fewer than two rows.
    Source: Heusel et al. 2017 (FID), equation 6; in double precision.
    """
    if min(len(one), len(other)) < 2:
        raise ValueError(f"{len(one)} and {len(other)} rows have no covariance; give at least 2 of each")
    first, second = one.double(), other.double()
    width = first.shape[-1]
    covariances = (torch.cov(rows.T).reshape(width, width) for rows in (first, second))
    return gaussian_distance(first.mean(0), next(covariances), second.mean(0), next(covariances))


def gaussian_distance(
    mean: Float[Tensor, "d"],
    covariance: Float[Tensor, "d d"],
    other_mean: Float[Tensor, "d"],
    other_covariance: Float[Tensor, "d d"],
) -> float:
    """|m - n|^2 + trace(C + D - 2 (C D)^(1/2)), never below 0.

    The trace of the root is the sum of the roots of the eigenvalues of A D A, A being the symmetric root of C.
    """
    values, axes = torch.linalg.eigh(covariance)
    root = (axes * values.clamp(min=0).sqrt()) @ axes.T
    shared = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum()
    apart = (mean - other_mean).square().sum()
    return max(float(apart + covariance.trace() + other_covariance.trace() - 2 * shared), 0.0)
