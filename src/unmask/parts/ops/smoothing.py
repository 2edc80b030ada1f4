"""How alike the tokens of a sample are, and how much alike attention makes them."""

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.parts.ops.relations import cosine_relations


def detail(tokens: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n d"]:
    """What is left of the tokens without their mean: all frequencies but the lowest."""
    return tokens - tokens.mean(-2, keepdim=True)


def detail_share(tokens: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b"]:
    """The length of the detail by that of the mean, over all tokens: 0 where all are alike.

    Source: Wang et al. 2022 (anti-oversmoothing), ||HC|| / ||DC||.
    """
    mean = tokens.mean(-2, keepdim=True).expand_as(tokens)
    return torch.linalg.matrix_norm(detail(tokens)) / torch.linalg.matrix_norm(mean)


def mean_likeness(tokens: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b"]:
    """The mean cosine of all pairs of different tokens: 1 where all point alike."""
    n = tokens.shape[-2]
    cosine = cosine_relations(tokens)
    return (cosine.sum((-2, -1)) - cosine.diagonal(dim1=-2, dim2=-1).sum(-1)) / (n * (n - 1))


def detail_kept(attention: Float[Tensor, "*b n n"]) -> Float[Tensor, "*b"]:
    """The most that one mixing by this attention can leave of the detail's length, as a factor.

    The largest singular value of (I - 1 1' / n) A. Rows of A sum to 1, so that the mean of the tokens adds no detail
    and ||detail(A X)|| <= factor ||detail(X)||. Above 1 where much attention falls on few tokens.
    """
    return torch.linalg.matrix_norm(detail(attention), ord=2)
