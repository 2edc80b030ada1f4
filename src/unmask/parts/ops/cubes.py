"""Clips to vectors of cubes and back."""

from jaxtyping import Float
from torch import Tensor

Cube = tuple[int, int, int]  # frames, rows and columns


def cube_grid(frames: int, height: int, width: int, cube: Cube) -> tuple[int, int, int]:
    """How many cubes a clip has along time, rows and columns. Raises ValueError where it does not divide."""
    sides = (frames, height, width)
    if any(side % part or side < part for side, part in zip(sides, cube, strict=True)):
        raise ValueError(
            f"a clip of {frames} frames of {height}x{width} cannot be cut into cubes of {cube[0]} frames of"
            f" {cube[1]}x{cube[2]}; change the size, the number of frames or the cubes"
        )
    return frames // cube[0], height // cube[1], width // cube[2]


def cubify(video: Float[Tensor, "b c t h w"], cube: Cube) -> Float[Tensor, "b n k"]:
    """One vector per cube, time first, then rows; within a vector frame, row, column, channel (channel fastest).

    Source: Tong et al. 2022 (VideoMAE), engine_for_pretraining.py, which has the same order.
    """
    b, c, frames, height, width = video.shape
    (t, h, w), (u, p, q) = cube_grid(frames, height, width, cube), cube
    return video.reshape(b, c, t, u, h, p, w, q).permute(0, 2, 4, 6, 3, 5, 7, 1).reshape(b, t * h * w, u * p * q * c)


def uncubify(cubes: Float[Tensor, "b n k"], grid: tuple[int, int, int], cube: Cube) -> Float[Tensor, "b c t h w"]:
    """The inverse of `cubify`."""
    (t, h, w), (u, p, q) = grid, cube
    x = cubes.reshape(cubes.shape[0], t, h, w, u, p, q, -1).permute(0, 7, 1, 4, 2, 5, 3, 6)
    return x.reshape(cubes.shape[0], -1, t * u, h * p, w * q)
