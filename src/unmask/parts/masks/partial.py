"""Partial masking: only some of the places that are hidden from the encoder are predicted."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Context, Mask, keep_count
from unmask.parts.masks.random import seen_counts


def partial_mask(
    noise: Float[Tensor, "b n"], ratio: float, predicted: float, places: Bool[Tensor, "b n"] | None = None
) -> Mask:
    """Shows the places with the lowest noise, leaves out the next ones, and hides the rest, which is predicted.

    Of n places int(n (1 - ratio)) are seen and int(n (ratio - predicted)) left out. Source: the released code of
    CrossMAE, random_masking.
    """
    n = noise.shape[-1]
    mask = Mask.from_scores(noise, seen_counts(n, ratio, "floor_kept", places), places)
    exist = [n] * len(noise) if places is None else places.sum(-1).tolist()
    shown = [keep_count(m, ratio) + left_out_count(m, ratio, predicted) if m > 1 else m for m in exist]
    rank = mask.order.argsort(-1)
    hidden = mask.hidden & (rank >= torch.tensor(shown, device=noise.device).unsqueeze(-1))
    return Mask(hidden, mask.order, mask.count, mask.lengths)


def left_out_count(n: int, ratio: float, predicted: float) -> int:
    """How many of n places are neither seen nor predicted; at least one is predicted."""
    return max(min(int(n * (ratio - predicted)), n - keep_count(n, ratio) - 1), 0)


class PartialMask:
    """Hides the share `ratio` of the places from the encoder; the share `predicted` of all places is predicted."""

    def __init__(self, ratio: float = 0.75, predicted: float = 0.25):
        keep_count(1000, ratio)
        if not 0 < predicted <= ratio:
            raise ValueError(
                f"predicted {predicted} is not a part of what is hidden; choose a share above 0 and at most {ratio}"
            )
        self.ratio = ratio
        self.predicted = predicted

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        image = batch["image"]
        rows, columns = model.encoder.grid_of(image)
        noise = context.uniform(image.shape[0], rows * columns, device=image.device)
        return partial_mask(noise, self.ratio, self.predicted, model.places(batch))
