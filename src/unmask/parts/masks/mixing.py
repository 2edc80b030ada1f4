"""Masks under which pictures can be mixed: the places of a group of pictures are divided among its members."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Context, Mask


def mixing_mask(
    noise: Float[Tensor, "b n"], spare: Float[Tensor, "b g"], places: Bool[Tensor, "b n"] | None = None
) -> Mask:
    """Shows every place of exactly one picture of each group of g that follow one another, equally many of each.

    The order of the first picture's noise decides. Where g does not divide n, each place that is left over goes to
    another picture, in the order of that picture's `spare` noise. Of an incomplete last group, the missing pictures
    take their share all the same.
    """
    (b, n), group = noise.shape, spare.shape[1]
    each = n // group
    first = torch.arange(b, device=noise.device) // group * group
    rank = noise[first].argsort(dim=-1, stable=True).argsort(-1)
    rest = spare[first].argsort(dim=-1, stable=True).gather(-1, (rank - group * each).clamp(min=0))
    owner = torch.where(rank < group * each, rank // each, rest)
    member = torch.arange(b, device=noise.device) - first
    return Mask.of(owner != member.unsqueeze(-1), places)


class MixingMask:
    """Hides of every picture what the other `group` - 1 pictures of its group show; drawn anew at every step."""

    def __init__(self, group: int = 4):
        if group < 2:
            raise ValueError(f"a group of {group} picture(s) cannot be mixed; choose at least 2")
        self.group = group

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        image = batch["image"]
        rows, columns = model.encoder.grid_of(image)
        if rows * columns < self.group:
            raise ValueError(
                f"{rows * columns} places cannot be divided among {self.group} pictures; use smaller patches or groups"
            )
        noise, spare = (context.uniform(len(image), k, device=image.device) for k in (rows * columns, self.group))
        return mixing_mask(noise, spare, model.places(batch))
