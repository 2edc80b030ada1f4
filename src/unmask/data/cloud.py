"""Cloud: what a source of point clouds gives for one sample, in the units of the file."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Shaped

from unmask.data.picture import Unreadable

AXES = ("x", "y", "z")


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points that all have numbers. lost: points of the file that had none, which are left out."""

    points: Float64[np.ndarray, "n 3"]
    lost: int = 0

    @property
    def nbytes(self) -> int:
        return self.points.nbytes


def cloud_of(values: Shaped[np.ndarray, "..."]) -> Cloud:
    """The first three columns as a cloud. Raises Unreadable for what is no cloud, or has no extent."""
    if values.ndim != 2 or values.shape[1] < 3 or values.dtype.kind not in "uif":
        raise Unreadable(f"is an array {list(values.shape)} of {values.dtype}; rows of x, y, z are needed")
    points = values[:, :3].astype(np.float64)
    known = np.isfinite(points).all(axis=1)
    points, lost = points[known], int((~known).sum())
    if len(points) < 2:
        left = f" after leaving out {lost} that are not numbers" if lost else ""
        raise Unreadable(f"has {len(points)} point(s){left}; at least 2 are needed")
    if (points == points[0]).all():
        raise Unreadable(f"has {len(points)} points, all at one place")
    return Cloud(points, lost)
