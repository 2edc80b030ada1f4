"""Tubes: one choice of places in space, hidden at every time."""

from jaxtyping import Float
from torch import Tensor

from unmask.core import Batch, Context, Mask, keep_count, key_of


def tube_mask(noise: Float[Tensor, "b m"], times: int, ratio: float, rule: str = "floor_hidden") -> Mask:
    """Hides the places with the highest noise at all `times`; the visible ones come in ascending order.

    Source: Tong et al. 2022 (VideoMAE), TubeMaskingGenerator: int(ratio * m) of m places are hidden.
    """
    plane = Mask.from_scores(noise, keep_count(noise.shape[-1], ratio, rule)).hidden
    return Mask.of(plane.repeat(1, times))


class TubeMask:
    """Hides the share `ratio` of the places of a frame, in all frames alike, drawn anew for every clip and step."""

    def __init__(self, ratio: float = 0.9, rule: str = "floor_hidden"):
        keep_count(1000, ratio, rule)
        self.ratio = ratio
        self.rule = rule

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        video = batch[key_of(model.encoder)]
        grid = model.encoder.grid_of(video)
        check_clip(grid, "tubes")
        noise = context.uniform(video.shape[0], grid[1] * grid[2], device=video.device)
        return tube_mask(noise, grid[0], self.ratio, self.rule)


class FrameMask:
    """Hides whole moments: the share `ratio` of the slices of a clip, with all their places."""

    def __init__(self, ratio: float = 0.9, rule: str = "floor_hidden"):
        keep_count(1000, ratio, rule)
        self.ratio = ratio
        self.rule = rule

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        video = batch[key_of(model.encoder)]
        grid = model.encoder.grid_of(video)
        check_clip(grid, "frames")
        noise = context.uniform(video.shape[0], grid[0], device=video.device)
        slices = Mask.from_scores(noise, keep_count(grid[0], self.ratio, self.rule)).hidden
        return Mask.of(slices.repeat_interleave(grid[1] * grid[2], dim=1))


def check_clip(grid: tuple[int, ...], what: str) -> None:
    """Raises ValueError for places that do not lie in time, rows and columns."""
    if len(grid) != 3:
        sizes = "x".join(map(str, grid))
        raise ValueError(f"{what} are hidden in clips; these places lie on a grid of {sizes}, without a time")
