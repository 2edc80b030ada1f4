"""Contrast: what belongs together is more alike than all else."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def pair_contrast(first: Float[Tensor, "g m k"], second: Float[Tensor, "g m k"]) -> Float[Tensor, ""]:
    """Within each of g groups, every vector must find its partner among all others of both sets by dot products.

    The mean over all 2 m searches of -log softmax, in float32; 0 where a group has one pair, which is found at once.
    """
    both = torch.cat([first, second], dim=1).float()
    m = first.shape[1]
    own = torch.eye(2 * m, dtype=torch.bool, device=both.device)
    alike = (both @ both.transpose(1, 2)).masked_fill(own, -torch.inf)
    partner = torch.arange(2 * m, device=both.device).roll(m)
    return F.cross_entropy(alike.flatten(0, 1), partner.repeat(len(both)))


def hierarchical_contrast(
    first: Float[Tensor, "b t k"],
    second: Float[Tensor, "b t k"],
    temporal: bool = True,
    instance: bool = False,
    alpha: float = 0.5,
) -> Float[Tensor, ""]:
    """Contrast of two views of a sequence at every scale: full length, then halved by max-pooling until one is left.

    temporal: a moment against the other moments of its sample, weight 1 - alpha. instance: a sample against the
    others of the batch at the same moment, weight alpha. The mean over scales; the last, of one moment, counts too.
    Source: Yue et al. 2022 (TS2Vec), hierarchical contrastive loss.
    """
    total, scales = first.new_zeros((), dtype=torch.float32), 0
    while True:
        if instance:
            total = total + alpha * pair_contrast(first.transpose(0, 1), second.transpose(0, 1))
        if temporal:
            total = total + (1 - alpha) * pair_contrast(first, second)
        scales += 1
        if first.shape[1] == 1:
            return total / scales
        first, second = (F.max_pool1d(x.transpose(1, 2), 2).transpose(1, 2) for x in (first, second))
