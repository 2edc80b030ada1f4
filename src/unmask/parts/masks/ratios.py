"""Random masking with a ratio that is drawn anew for every step."""

import torch

from unmask.core import Batch, Context, Mask, keep_count
from unmask.parts.masks.random import random_mask


class RatioMask:
    """Hides a share of the places drawn evenly from `ratios`, the same for a whole step; which, for every sample anew.

    The method says how many places a batch has by `count(batch)`.
    """

    def __init__(self, ratios: tuple[float, ...] | float = (0.15, 0.35, 0.55, 0.75, 0.95), rule: str = "floor_kept"):
        self.ratios = ratios if isinstance(ratios, tuple) else (ratios,)
        for ratio in self.ratios:
            keep_count(1000, ratio, rule)
        self.rule = rule

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        first = next(iter(batch.values()))
        ratio = self.ratios[int(torch.randint(len(self.ratios), (), generator=context.generator))]
        noise = context.uniform(len(first), model.count(batch), device=first.device)
        return random_mask(noise, ratio, self.rule)
