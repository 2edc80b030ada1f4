"""Groups: rectangles of connected pixels, drawn until enough of the picture is covered."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Context

SPARE = 4  # how many times the rectangles that are needed on average are drawn


def covered(
    noise: Float[Tensor, "b k 4"], wanted: Float[Tensor, "b"], size: tuple[int, int], align: int, largest: float
) -> Bool[Tensor, "b h w"]:
    """True where one of the first rectangles lies, as many as cover `wanted` pixels; they may overlap.

    A rectangle's corner and sides are drawn evenly: the corner anywhere, snapped to `align`; a side from `align` to the
    share `largest` of the picture's, cut at the border, then rounded to a multiple of `align`, which may be none.
    noise: row, column, height, width of every rectangle, in [0, 1).
    Source: Atito et al. 2022 (GMML), released code.
    """
    (h, w), device = size, noise.device
    corners, sides = [], []
    for i, side in enumerate(size):
        first = (noise[..., i] * max(side - align, 1)).long() // align * align
        span = max(int(side * largest) - align, 1)
        length = torch.minimum(align + (noise[..., 2 + i] * span).long(), side - first)
        corners.append(first)
        sides.append((length / align).round().long() * align)
    cells = [torch.arange(side, device=device) for side in size]
    hidden = torch.zeros(len(noise), h, w, dtype=torch.bool, device=device)
    for k in range(noise.shape[1]):
        short = hidden.sum((1, 2)) < wanted
        if not short.any():
            break
        rows, columns = (
            (places >= first[:, k, None]) & (places < (first + length)[:, k, None])
            for places, first, length in zip(cells, corners, sides, strict=True)
        )
        hidden |= short[:, None, None] & rows.unsqueeze(2) & columns.unsqueeze(1)
    return hidden


class Groups:
    """Covers a share of every picture by rectangles.

    align: corners and sides are multiples of so many pixels. largest: side, as a share of the picture's.
    """

    def __init__(self, align: int = 1, largest: float = 0.3):
        if align < 1 or not 0 < largest <= 1:
            raise ValueError(f"align {align} must be at least 1 pixel, and largest {largest} a share in (0, 1]")
        self.align = align
        self.largest = largest

    def __call__(self, shares: Float[Tensor, "b"], size: tuple[int, int], context: Context) -> Bool[Tensor, "b h w"]:
        """shares: what to cover of every picture; the last rectangle may exceed it."""
        if min(size) <= self.align:
            raise ValueError(f"rectangles aligned to {self.align} pixels do not fit {size[0]}x{size[1]}; align less")
        count = self._count(float(shares.max()), size)
        noise = context.uniform(len(shares), count, 4, device=shares.device)
        return covered(noise, shares * (size[0] * size[1]), size, self.align, self.largest)

    def _count(self, share: float, size: tuple[int, int]) -> int:
        """Rectangles that are sure to be enough: those needed were they strewn evenly, and some to spare."""
        mean = [(self.align + max(int(side * self.largest), self.align)) / 2 / side for side in size]
        return math.ceil(SPARE * -math.log(1 - share) / math.prod(mean)) + 16
