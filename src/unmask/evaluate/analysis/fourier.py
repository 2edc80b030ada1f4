"""Which spatial frequencies the feature maps of a layer hold."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

FLOOR = 1e-6  # keeps the logarithm finite; value of Park and Kim's released code


def diagonal_frequencies(grid: tuple[int, int]) -> Float[Tensor, "f"]:
    """The frequencies along the half diagonal in radians per place, from 0 to pi on even grids."""
    steps = min(grid) // 2
    return torch.arange(steps + 1) * (2 * math.pi / min(grid))


def relative_amplitude(tokens: Float[Tensor, "b n d"], grid: tuple[int, int]) -> Float[Tensor, "b f"]:
    """Log amplitude along the half diagonal minus that of frequency 0, averaged over channels; the first is 0.

    Less negative at the end of the curve means more high frequencies, that is finer patterns. On grids that are not
    square the longer axis is read at the nearest frequency.
    Source: Park and Kim 2022, "How do vision transformers work?", figure 2a.
    Differs: the highest frequency of an even grid is included; the released code stops one short of it.
    """
    b, n, d = tokens.shape
    if n != grid[0] * grid[1]:
        raise ValueError(f"{n} places do not fill a grid of {grid[0]}x{grid[1]}; leave the class token out")
    amplitude = torch.fft.fft2(tokens.float().reshape(b, *grid, d), dim=(1, 2)).abs()
    logarithm = (amplitude + FLOOR).log().mean(-1)
    shares = torch.arange(min(grid) // 2 + 1) / min(grid)
    rows, columns = ((shares * size).round().long().to(tokens.device) for size in grid)
    curve = logarithm[:, rows, columns]
    return curve - curve[:, :1]
