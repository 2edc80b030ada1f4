"""Masks of a share that is itself drawn, from almost nothing to all, so that a network learns to go on anywhere."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Context, Mask
from unmask.parts.ops.mask_schedule import check_schedule, masking_rate


def scheduled_mask(
    noise: Float[Tensor, "b m"], schedule: str = "cosine", places: Bool[Tensor, "b n"] | None = None
) -> Mask:
    """Hides ceil(rate * n) random places, and at least one.

    noise: the moment of every sample, at which the schedule gives the rate, and one number for every place.
    Source: Chang et al. 2022 (MaskGIT), section 3.2.
    """
    moment, scores = noise[:, 0], noise[:, 1:]
    there = torch.full_like(moment, scores.shape[-1]) if places is None else places.sum(-1).to(moment.dtype)
    hidden = torch.minimum((masking_rate(moment, there, schedule) * there).ceil().clamp(min=1), there)
    return Mask.from_scores(scores, (there - hidden).long(), places)


class ScheduledMask:
    """schedule: "cosine", "uniform", "log", "exp" or "powX"; the moment is drawn evenly for every sample."""

    def __init__(self, schedule: str = "cosine"):
        check_schedule(schedule)
        self.schedule = schedule

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        image = batch["image"]
        rows, columns = model.grid
        noise = context.uniform(len(image), 1 + rows * columns, device=image.device)
        return scheduled_mask(noise, self.schedule, model.places(batch))
