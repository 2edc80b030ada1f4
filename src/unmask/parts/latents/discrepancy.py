"""How far two samples of codes are from one distribution: maximum mean discrepancy."""

import torch
from jaxtyping import Float
from torch import Tensor

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def inverse_multiquadratic(
    codes: Float[Tensor, "n d"], drawn: Float[Tensor, "n d"], distance: float
) -> Float[Tensor, ""]:
    """Squared discrepancy under k(x, y) = c / (c + |x - y|^2), summed over c = distance times seven scales.

    It is 0 on average where both are of one distribution, and can be below 0. Raises ValueError for a single sample.
    distance: the squared distance that two draws of the prior usually have.
    Source: Tolstikhin et al. 2018 (WAE), equation 8; scales of tolstikhin/wae, wae.py, mmd_penalty.
    """
    own, other, cross = _distances(codes, drawn)
    return torch.stack([_statistic(*(c / (c + d) for d in (own, other, cross))) for c in _times(distance)]).sum()


def radial(codes: Float[Tensor, "n d"], drawn: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Squared discrepancy under a Gaussian kernel whose variance is the sum of two median squared distances.

    Source: tolstikhin/wae, wae.py, mmd_penalty: medians of the distances between codes and draws, and among codes.
    """
    own, other, cross = _distances(codes, drawn)
    n = len(codes)
    rank = n * n - (n * n - n) // 2 + 1
    variance = cross.flatten().kthvalue(rank).values + own.flatten().kthvalue(rank).values
    return _statistic(*((-d / 2 / variance).exp() for d in (own, other, cross)))


def _times(distance: float) -> list[float]:
    return [distance * scale for scale in SCALES]


def _distances(codes: Float[Tensor, "n d"], drawn: Float[Tensor, "n d"]) -> tuple[Tensor, Tensor, Tensor]:
    """Squared distances among the codes, among the draws, and between them; never in half precision."""
    if len(codes) < 2:
        raise ValueError("the discrepancy of a single code is not defined; use a batch of at least 2 per process")
    with torch.autocast(codes.device.type, enabled=False):
        q, p = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (codes, drawn))
        return _between(q, q), _between(p, p), _between(q, p)


def _between(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    squares = a.square().sum(-1, keepdim=True) + b.square().sum(-1)
    return (squares - 2 * a @ b.T).clamp(min=0)


def _statistic(own: Float[Tensor, "n n"], other: Float[Tensor, "n n"], cross: Float[Tensor, "n n"]) -> Tensor:
    """Means of the kernel over pairs of different samples, minus twice its mean between the samples."""
    n = len(own)
    within = (own + other).masked_fill(torch.eye(n, dtype=torch.bool, device=own.device), 0.0)
    return within.sum() / (n * n - n) - 2 * cross.mean()


def moment_gap(codes: Float[Tensor, "n d"], drawn: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Mean squared difference of the means, plus that of the covariances.

    Source: tolstikhin/wae, wae.py, pretrain_loss.
    """
    with torch.autocast(codes.device.type, enabled=False):
        means = (codes.mean(0) - drawn.mean(0)).square().mean()
        return means + (torch.cov(codes.T) - torch.cov(drawn.T)).square().mean()
