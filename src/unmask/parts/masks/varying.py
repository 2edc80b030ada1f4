"""Random masking with a share that is drawn anew for every batch."""

import torch

from unmask.core import Batch, Context, Mask, keep_count
from unmask.parts.masks.random import RandomMask


class VaryingMask:
    """Hides random places. ratio: the share, or the least and the most of one that is drawn for every batch."""

    def __init__(self, ratio: float | tuple[float, float] = 0.75, rule: str = "floor_kept"):
        self.least, self.most = ratio if isinstance(ratio, tuple) else (ratio, ratio)
        for share in (self.least, self.most):
            keep_count(1000, share, rule)
        if self.least > self.most:
            raise ValueError(f"ratio {ratio} must be the least and the most share that is hidden")
        self.rule = rule

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        share = self.least
        if self.most > self.least:
            share += (self.most - self.least) * float(torch.rand((), generator=context.generator))
        return RandomMask(share, self.rule)(model, batch, context)
