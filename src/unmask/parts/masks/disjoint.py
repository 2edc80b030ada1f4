"""Two masks of one picture, the second of which hides what the first showed."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Context, Mask, keep_count
from unmask.parts.masks.hints import first_ranked
from unmask.parts.masks.random import random_mask
from unmask.parts.ops.patches import patch_grid


def disjoint_masks(
    noise: Float[Tensor, "b n"],
    choice: Float[Tensor, "b n"],
    ratio: float,
    predicted: float = 1.0,
    places: Bool[Tensor, "b n"] | None = None,
) -> tuple[Mask, Mask]:
    """A random mask, and one that hides int(min(predicted - ratio, ratio) * n) of the places that it shows.

    The rest of the second is hidden in both. `choice`: of each kind, the places with the lowest are hidden again.
    Source: Ma et al. 2023 (DMJD), random_masking of the released code.
    """
    first = random_mask(noise, ratio, "floor_kept", places)
    exists = torch.ones_like(noise, dtype=torch.bool) if places is None else places
    shown, hidden = exists & ~first.hidden, first.hidden.sum(-1)
    extra = (exists.sum(-1).double() * min(predicted - ratio, ratio)).long()
    extra = torch.minimum(torch.minimum(extra, shown.sum(-1)), hidden)
    both = first_ranked(choice, shown, extra) | first_ranked(choice, first.hidden, hidden - extra)
    return first, Mask.of(both, places)


class DisjointMask:
    """Two masks that hide `ratio` of the places each and, together, the share `predicted` of them, where they can.

    cell: hides squares of so many patches a side.
    """

    def __init__(self, ratio: float = 0.6, predicted: float = 1.0, cell: int = 2):
        keep_count(1000, ratio)
        if not ratio <= predicted <= 1:
            raise ValueError(f"predicted share {predicted} is not between the hidden share {ratio} and 1")
        if cell < 1:
            raise ValueError(f"cells of {cell} patches hide nothing; choose at least 1")
        self.ratio = ratio
        self.predicted = predicted
        self.cell = cell

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        return self.pair(model, batch, context)[0]

    def pair(self, model, batch: Batch, context: Context) -> tuple[Mask, Mask]:
        image, places = batch["image"], model.places(batch)
        grid = model.encoder.grid_of(image)
        rows, columns = patch_grid(grid[0], grid[1], self.cell)
        noise, choice = (context.uniform(image.shape[0], rows * columns, device=image.device) for _ in range(2))
        if self.cell == 1:
            return disjoint_masks(noise, choice, self.ratio, self.predicted, places)
        cells = None if places is None else self._coarse(places, grid)
        masks = disjoint_masks(noise, choice, self.ratio, self.predicted, cells)
        first, second = (Mask.of(self._fine(mask.hidden, grid, places), places) for mask in masks)
        return first, second

    def _fine(
        self, hidden: Bool[Tensor, "b k"], grid: tuple[int, int], places: Bool[Tensor, "b n"] | None
    ) -> Bool[Tensor, "b n"]:
        """What the cells hide, patch by patch."""
        cells = hidden.unflatten(-1, patch_grid(grid[0], grid[1], self.cell))
        wide = cells.repeat_interleave(self.cell, 1).repeat_interleave(self.cell, 2)
        fine = wide[:, : grid[0], : grid[1]].flatten(1)
        return fine if places is None else fine & places

    def _coarse(self, places: Bool[Tensor, "b n"], grid: tuple[int, int]) -> Bool[Tensor, "b k"]:
        """Cells with anything real in them."""
        whole = places.float().unflatten(-1, grid).unsqueeze(1)
        pooled = torch.nn.functional.max_pool2d(whole, self.cell, ceil_mode=True)
        return pooled.flatten(1) > 0
