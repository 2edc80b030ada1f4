"""Files of volumes, NIfTI or arrays. Axes are brought to one orientation where the file says how it lies."""

import gzip
import io
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from unmask.data.extras import needed
from unmask.data.guard import guarded
from unmask.data.picture import Unreadable
from unmask.data.volume import Volume, volume_of

SUFFIXES = (".nii", ".nii.gz", ".npy")
Affine = Float64[np.ndarray, "4 4"]
Stored = tuple[Shaped[np.ndarray, "..."], tuple[float, float, float], Affine | None]


def read_volume(data: bytes) -> Volume:
    """The volume in the bytes of a file. Raises Unreadable with the reason, ImportError where nibabel is missing."""
    values, spacing, affine = _stored(data)
    return volume_of(*oriented(values, spacing, affine))


def read_classes(data: bytes, like: Volume, stored: Affine | None) -> Int64[np.ndarray, "i j k"]:
    """Class numbers per voxel. A mask that does not say how it lies is taken to lie as its volume was stored."""
    values, spacing, affine = _stored(data)
    classes = oriented(values.reshape(values.shape[:3]), spacing, stored if affine is None else affine)[0]
    if classes.shape != like.size:
        sizes = ("x".join(map(str, shape)) for shape in (like.size, classes.shape))
        raise Unreadable("has {} voxels, its mask {}".format(*sizes))
    whole = np.rint(classes)
    if not (whole == classes).all():
        raise Unreadable("has a mask with values that are not whole numbers")
    return whole.astype(np.int64)


def stored_affine(data: bytes) -> Affine | None:
    """How the file says that its voxels lie, as they are stored."""
    return _stored(data)[2]


def oriented(values: Shaped[np.ndarray, "..."], spacing: tuple[float, float, float], affine: Affine | None) -> Stored:
    """The same with the axes to the right, to the front and to the top, as nearly as turning by right angles gives."""
    if affine is None:
        return values, spacing, None
    import nibabel

    turns = nibabel.orientations.io_orientation(affine)
    if np.isnan(turns).any():
        raise Unreadable("has an affine without volume: its axes do not span space")
    back = nibabel.orientations.inv_ornt_aff(turns, values.shape[:3])
    order = np.argsort(turns[:, 0])
    lengths = [float(spacing[i]) for i in order]
    return nibabel.orientations.apply_orientation(values, turns), (lengths[0], lengths[1], lengths[2]), affine @ back


def _stored(data: bytes) -> Stored:
    if data.startswith(b"\x93NUMPY"):
        return guarded(_array, data)
    if not data:
        raise Unreadable("is empty")
    nibabel = needed("nibabel", "nibabel", ".nii", "volumes")
    return guarded(lambda found: _nifti(nibabel, found), data)


def _array(data: bytes) -> Stored:
    return np.load(io.BytesIO(data), allow_pickle=False), (1.0, 1.0, 1.0), None


def _nifti(nibabel: ModuleType, data: bytes) -> Stored:
    """Values scaled as the header says. An affine counts where the header has one, not one made up from the spacing."""
    data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    large = int.from_bytes(data[:4], "little") == 540 or int.from_bytes(data[:4], "big") == 540
    image: Any = (nibabel.Nifti2Image if large else nibabel.Nifti1Image).from_bytes(data)
    header = image.header
    known = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    lengths = [float(length) for length in header.get_zooms()[:3]]
    values = np.asanyarray(image.dataobj)
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim < 3:
        raise Unreadable(f"holds an array {list(values.shape)}, not a volume")
    return values, (lengths[0], lengths[1], lengths[2]), np.asarray(image.affine, np.float64) if known else None
