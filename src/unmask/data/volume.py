"""Volume: what a source of volumes gives for one sample, in the units of the file."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Shaped

from unmask.data.picture import Unreadable

LEAST = 2  # voxels along an axis


@dataclass(frozen=True, eq=False)
class Volume:
    """Intensities whose axes go to the right, to the front and to the top, if the file says how it lies.

    spacing: millimetres from voxel to voxel along each axis. affine: from voxels to millimetres, None where the file
    does not say. kind: type of the values in the file. missing: True where a value is not a number; `values` is 0
    there.
    """

    values: Float32[np.ndarray, "c i j k"]
    spacing: tuple[float, float, float]
    affine: Float64[np.ndarray, "4 4"] | None
    kind: str
    missing: Bool[np.ndarray, "i j k"] | None = None

    @property
    def size(self) -> tuple[int, int, int]:
        i, j, k = self.values.shape[1:]
        return i, j, k

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + (0 if self.missing is None else self.missing.nbytes)


def volume_of(
    values: Shaped[np.ndarray, "..."],
    spacing: tuple[float, float, float],
    affine: Float64[np.ndarray, "4 4"] | None = None,
) -> Volume:
    """The array [i, j, k], or with channels last, as a volume. Raises Unreadable for what is no volume."""
    if values.ndim == 3:
        values = values[..., None]
    if values.ndim != 4 or values.dtype.kind not in "uif":
        raise Unreadable(f"is an array {list(values.shape)} of {values.dtype}; intensities [x, y, z] are needed")
    if min(values.shape[:3]) < LEAST:
        raise Unreadable(f"has {'x'.join(map(str, values.shape[:3]))} voxels; every side must have at least {LEAST}")
    if not all(np.isfinite(length) and length > 0 for length in spacing):
        raise Unreadable(f"has voxels of {spacing} mm; lengths must be above 0")
    found = np.moveaxis(values, -1, 0).astype(np.float32)
    lost = np.asarray(~np.isfinite(found).all(axis=0))
    if lost.all():
        raise Unreadable("has no voxel with a number")
    if lost.any():
        found = np.where(lost, np.float32(0), found)
    known = found[:, ~lost]
    for number, channel in enumerate(known):
        if channel.min() == channel.max():
            raise Unreadable(f"has the same value everywhere{f' in channel {number}' if len(known) > 1 else ''}")
    return Volume(found, spacing, affine, str(values.dtype), lost if lost.any() else None)
