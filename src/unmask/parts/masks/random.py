"""Random masking: every place has the same chance."""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from unmask.core import Batch, Context, Mask, keep_count, key_of


def seen_counts(n: int, ratio: float, rule: str, places: Bool[Tensor, "b n"] | None = None) -> int | Int64[Tensor, "b"]:
    """How many places each row keeps; rows with fewer existing places keep their own share."""
    if places is None:
        return keep_count(n, ratio, rule)
    counts = [keep_count(m, ratio, rule) if m > 1 else m for m in places.sum(-1).tolist()]
    return torch.tensor(counts, device=places.device)


def random_mask(
    noise: Float[Tensor, "b n"], ratio: float, rule: str = "floor_kept", places: Bool[Tensor, "b n"] | None = None
) -> Mask:
    """Keeps the places with the lowest noise. Source: He et al. 2022 (MAE), random_masking."""
    return Mask.from_scores(noise, seen_counts(noise.shape[-1], ratio, rule, places), places)


class RandomMask:
    """Hides the share `ratio` of the places, drawn anew for every sample and step."""

    def __init__(self, ratio: float = 0.75, rule: str = "floor_kept"):
        keep_count(1000, ratio, rule)
        self.ratio = ratio
        self.rule = rule

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        values = batch[key_of(model.encoder)]
        places = math.prod(model.encoder.grid_of(values))
        noise = context.uniform(values.shape[0], places, device=values.device)
        return random_mask(noise, self.ratio, self.rule, model.places(batch))
