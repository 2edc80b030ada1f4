"""Blocks: rectangles of any shape, one over the other, until enough is hidden."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Context, Mask, keep_count
from unmask.parts.masks.random import seen_counts

ATTEMPTS = 10  # at a rectangle before giving up, as in BEiT's released code
ROUNDS = 16  # rectangles; each takes at most all of what is left to hide


def block_mask(
    noise: Float[Tensor, "k 4"], grid: tuple[int, int], wanted: float, aspect: float = 0.3
) -> Bool[Tensor, "h w"]:
    """Hides rectangles until `wanted` places are hidden or none fits any more; never more.

    noise: area, aspect, top and left of every attempt. aspect: the smallest height / width; the largest is its inverse.
    Source: Bao et al. 2022 (BEiT), masking_generator.py, as in iBOT's loader.
    """
    (rows, columns), left = grid, wanted
    hidden = [0] * rows  # a bit for every place: far quicker than tensors this small
    least, range_of_logs = (min(grid) // 3) ** 2, -2 * math.log(aspect)
    attempts = iter(noise.tolist())
    while left > 0:
        for _, (area, shape, top, side) in zip(range(ATTEMPTS), attempts, strict=False):
            area, shape = least + (left - least) * area, math.exp(math.log(aspect) + range_of_logs * shape)
            h, w = round(math.sqrt(max(area, 0) * shape)), round(math.sqrt(max(area, 0) / shape))
            if h >= rows or w >= columns:
                continue
            y, x = int(top * (rows - h + 1)), int(side * (columns - w + 1))
            block = ((1 << w) - 1) << x
            new = h * w - sum((row & block).bit_count() for row in hidden[y : y + h])
            if 0 < new <= left:
                hidden[y : y + h] = [row | block for row in hidden[y : y + h]]
                left -= new
                break
        else:
            break
    return torch.tensor([[bool(row >> x & 1) for x in range(columns)] for row in hidden])


class BlockMask:
    """Hides rectangles of patches.

    aspect: the smallest height / width of a rectangle; the largest is its inverse.
    exact: hides the missing places at random where rectangles leave less than the share `ratio` hidden.
    """

    def __init__(self, ratio: float = 0.75, aspect: float = 0.3, exact: bool = True):
        keep_count(1000, ratio)
        if not 0 < aspect <= 1:
            raise ValueError(f"aspect {aspect} is not the smallest height / width; choose a number above 0, up to 1")
        self.ratio = ratio
        self.aspect = aspect
        self.exact = exact

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        image, places = batch["image"], model.places(batch)
        grid = model.encoder.grid_of(image)
        n = grid[0] * grid[1]
        noise = context.uniform(image.shape[0], ATTEMPTS * ROUNDS, 4)
        rest = context.uniform(image.shape[0], n, device=image.device)
        wanted = n - keep_count(n, self.ratio, "floor_hidden")
        blocks = torch.stack([block_mask(row, grid, wanted, self.aspect).flatten() for row in noise]).to(image.device)
        if not self.exact:
            return Mask.of(blocks if places is None else blocks & places, places)
        return Mask.from_scores(rest + blocks, seen_counts(n, self.ratio, "floor_hidden", places), places)
