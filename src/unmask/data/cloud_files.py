"""Files of point clouds as coordinates: what a file is, its first bytes tell."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped

from unmask.data.cloud import AXES, Cloud, cloud_of
from unmask.data.extras import needed
from unmask.data.guard import guarded
from unmask.data.picture import Unreadable

SUFFIXES = (".ply", ".las", ".laz", ".feather", ".npy", ".npz", ".xyz", ".pts")
KEYS = ("points", "xyz", "pos", "x", "data", "arr_0")  # of the coordinates among the arrays of one file
NUMBERS = b"0123456789+-.# \t\r\n"  # what text with coordinates begins with


def read_cloud(data: bytes) -> Cloud:
    """The cloud in the bytes of a file. Raises Unreadable with the reason, ImportError where a library is missing."""
    return cloud_of(guarded(_reader(data), data))


def _reader(data: bytes) -> Callable[[bytes], Shaped[np.ndarray, "..."]]:
    if data.startswith(b"ply"):
        return partial(_ply, needed("plyfile", "plyfile", ".ply", "points"))
    if data.startswith(b"LASF"):
        return partial(_las, needed("laspy", "laspy", ".las", "points"))
    if data.startswith((b"ARROW1", b"FEA1")):
        return _feather
    if data.startswith((b"\x93NUMPY", b"PK")):
        return _arrays
    if data and data[0] in NUMBERS:
        return _text
    raise Unreadable("is empty" if not data else f"is no file of points: it begins with {data[:8]!r}")


def _ply(plyfile: ModuleType, data: bytes) -> Float64[np.ndarray, "n 3"]:
    elements = plyfile.PlyData.read(io.BytesIO(data))
    if "vertex" not in elements:
        raise Unreadable("has no vertices")
    vertices = elements["vertex"]
    return _columns([p.name for p in vertices.properties], vertices.__getitem__)


def _las(laspy: ModuleType, data: bytes) -> Float64[np.ndarray, "n 3"]:
    try:
        return np.asarray(laspy.read(io.BytesIO(data)).xyz, dtype=np.float64)
    except laspy.errors.LaspyException as error:
        if "LazBackend" in str(error):
            raise Unreadable("is compressed, which laspy unpacks with lazrs: pip install 'laspy[lazrs]'") from None
        raise


def _feather(data: bytes) -> Float64[np.ndarray, "n 3"]:
    import pyarrow
    import pyarrow.feather as feather

    table = feather.read_table(pyarrow.BufferReader(data))
    return _columns(table.column_names, lambda name: table[name].to_numpy())


def _columns(names: list[str], column: Callable[[str], Any]) -> Float64[np.ndarray, "n 3"]:
    """The columns x, y and z, in capitals or not, side by side."""
    lower = {name.lower(): name for name in names}
    if any(axis not in lower for axis in AXES):
        raise Unreadable(f"has no columns x, y and z; it has {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}")
    return np.stack([np.asarray(column(lower[axis]), dtype=np.float64) for axis in AXES], axis=1)


def _arrays(data: bytes) -> Shaped[np.ndarray, "..."]:
    found = np.load(io.BytesIO(data), allow_pickle=False)
    if isinstance(found, np.ndarray):
        return found
    name = next((key for key in KEYS if key in found.files), None)
    if name is None:
        raise Unreadable(f"holds the arrays {', '.join(found.files)}; name that of the points {KEYS[0]!r}")
    return found[name]


def _text(data: bytes) -> Float64[np.ndarray, "n c"]:
    return np.loadtxt(io.StringIO(data.decode("ascii").replace(",", " ").replace(";", " ")), ndmin=2)


def is_array_file(path: Path) -> bool:
    """Whether this is one file of arrays, which may hold many clouds."""
    return path.is_file() and path.suffix.lower() in (".npz", ".npy")
