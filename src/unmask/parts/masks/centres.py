"""Masks of patches that lie anywhere in space."""

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.core import Batch, Context, Mask, keep_count


def nearest_mask(
    centres: Float[Tensor, "b n 3"], noise: Float[Tensor, "b"], ratio: float, rule: str = "floor_hidden"
) -> Mask:
    """Hides the patches nearest to one of them, which the noise chooses.

    Source: Yu et al. 2022 (Point-BERT); _mask_center_block of Point-MAE's released code.
    """
    n = centres.shape[1]
    first = (noise * n).long().clamp(max=n - 1)
    chosen = centres[torch.arange(len(centres), device=centres.device), first].unsqueeze(1)
    return Mask.from_scores(-(centres - chosen).square().sum(-1), keep_count(n, ratio, rule))


class NearestCentres:
    """Hides a share of the patches in one piece: those nearest to a patch that is drawn for every sample and step."""

    def __init__(self, ratio: float = 0.6, rule: str = "floor_hidden"):
        keep_count(1000, ratio, rule)
        self.ratio, self.rule = ratio, rule

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        centres = batch["centres"]
        return nearest_mask(centres, context.uniform(len(centres), device=centres.device), self.ratio, self.rule)
