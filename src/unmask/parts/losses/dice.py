"""How well two segmentations overlap, as a loss."""

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

IGNORED = -1


def soft_dice(scores: Float[Tensor, "b k *grid"], target: Int64[Tensor, "b *grid"]) -> Float[Tensor, ""]:
    """1 minus the Dice overlap of shares and classes, over the whole batch, averaged over the classes but the first.

    target: class numbers, -1 where nothing counts. The first class is the background.
    Source: Milletari et al. 2016; nnU-Net's batch Dice.
    """
    counted = (target != IGNORED).unsqueeze(1)
    shares = scores.float().softmax(1) * counted
    classes = F.one_hot(target.clamp(min=0), scores.shape[1]).movedim(-1, 1).float() * counted
    axes = (0, *range(2, scores.ndim))
    both, sizes = (shares * classes).sum(axes), (shares + classes).sum(axes)
    return 1 - (2 * both[1:] / sizes[1:].clamp(min=1e-8)).mean()


def segmentation_loss(scores: Float[Tensor, "b k *grid"], target: Int64[Tensor, "b *grid"]) -> Float[Tensor, ""]:
    """Cross entropy plus soft Dice, both over what counts. Source: Isensee et al. 2021 (nnU-Net)."""
    return F.cross_entropy(scores.float(), target, ignore_index=IGNORED) + soft_dice(scores, target)
