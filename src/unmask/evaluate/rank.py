"""How many directions features use, and whether they have collapsed, without labels."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

EPS = 1e-7  # added to every share, as in the paper


def rankme(features: Float[Tensor, "n d"]) -> float:
    """The effective number of directions that the features use: d when all are used alike, 1 when one is.

    It never exceeds the smaller of the two sizes, so compare values of equally many samples.
    Source: Garrido et al. 2023 (RankMe), equation 1: the exponential of the entropy of the singular values.
    """
    values = torch.linalg.svdvals(features.double())
    share = values / values.sum().clamp(min=torch.finfo(values.dtype).tiny) + EPS
    return float(torch.exp(-(share * share.log()).sum()))


def feature_std(features: Float[Tensor, "n d"]) -> float:
    """Mean deviation per dimension of the features at length 1, times sqrt(d): 1 spread evenly, 0 collapsed.

    Source: Chen and He 2021 (SimSiam), section 4.1.
    """
    return float(F.normalize(features.double(), dim=-1).std(0, unbiased=False).mean() * features.shape[-1] ** 0.5)


def mean_cosine(features: Float[Tensor, "n d"]) -> float:
    """The mean cosine of two different samples: 1 when all features point the same way."""
    n = features.shape[0]
    if n < 2:
        raise ValueError(f"{n} sample(s) make no pair; hold out at least two")
    total = F.normalize(features.double(), dim=-1).sum(0).square().sum()
    return float((total - n) / (n * (n - 1)))
