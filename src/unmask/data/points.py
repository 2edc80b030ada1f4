"""Point clouds as a data set: one cloud a file, or many in the arrays of one file."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Shaped

from unmask.data.cloud import Cloud, cloud_of
from unmask.data.cloud_files import KEYS, SUFFIXES, is_array_file, read_cloud
from unmask.data.names import SPLITS
from unmask.data.parts import parted
from unmask.data.source import Item, Listing, Source
from unmask.data.stored import open_stored
from unmask.data.values import ValueSource

NOUN = "clouds"
LABELS = ("y", "label", "labels")
CLASSES = ("class_names", "classes")


class CloudFiles(Source):
    """Files of one cloud each. Clouds with classes, none of which is in a named part, are parted by their names."""

    noun = NOUN

    def __init__(self, files: Source):
        items = parted(files.items) if files.classes else files.items
        super().__init__(files.origin, Listing(items), files.decoder, files.classes, files.refused)
        self.files = files

    def data(self, i: int) -> bytes:
        return self.files.data(i)

    def read(self, i: int) -> Cloud:
        """Raises Unreadable with the reason."""
        return read_cloud(self.data(i))


class CloudArrays(ValueSource):
    """Clouds in memory, as rows of one array. ends: where each ends."""

    noun = NOUN

    def __init__(
        self,
        origin: str,
        points: Shaped[np.ndarray, "n c"],
        ends: Int64[np.ndarray, "k"],
        labels: Sequence[str | None],
        splits: Sequence[str | None],
    ):
        starts = np.concatenate([[0], ends[:-1]])
        digits, name = len(str(len(ends) - 1)), Path(origin).name
        items = [
            Item(f"{name}[{i:0{digits}d}]", label, split, int(end - start) * points.itemsize * points.shape[1])
            for i, (start, end, label, split) in enumerate(zip(starts, ends, labels, splits, strict=True))
        ]
        classed = len(set(labels) - {None}) > 1
        super().__init__(origin, Listing(parted(items) if classed else items))
        self._points, self._starts, self._ends = points, starts, ends

    def read(self, i: int) -> Cloud:
        """Raises Unreadable with the reason."""
        return cloud_of(self._points[self._starts[i] : self._ends[i]])

    def fingerprint(self) -> str:
        """Of the values themselves, and of where each cloud ends."""
        digest = hashlib.sha256(f"{self._points.shape} {self._points.dtype}\n".encode())
        digest.update(self._ends.tobytes())
        digest.update(np.ascontiguousarray(self._points).tobytes())
        return digest.hexdigest()


def open_points(spec: str | Path) -> Source:
    """The clouds that `spec` names: a file, a folder, a glob, a list of paths or .tar archives of .ply, .las, .feather,
    .npy, .npz or .xyz files, or one .npz or .npy file that holds many clouds.

    Many clouds are an array [k, n, 3], or `points` [n, 3] with `ptr`, where cloud i has the rows from ptr[i] to
    ptr[i + 1]; `y` are their classes, `class_names` the names of these, `split` their parts; "FILE::KEY" names another
    array. Raises ValueError with one sentence for what cannot be read.
    """
    base, _, key = str(spec).partition("::")
    if is_array_file(Path(base)):
        many = _many(Path(base), key)
        if many is not None:
            return many
    return CloudFiles(open_stored(spec, SUFFIXES, NOUN))


def _many(path: Path, key: str) -> CloudArrays | None:
    """The clouds of a file of arrays, or None where it is a single cloud."""
    try:
        found = np.load(path, allow_pickle=False)
        arrays = {path.stem: found} if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    named = [key] if key else [name for name in (*KEYS, path.stem) if name in arrays]
    points = arrays.get(named[0]) if named else None
    if points is None or points.ndim not in (2, 3) or points.shape[-1] < 3 or points.dtype.kind not in "uif":
        shapes = ", ".join(f"{name} {list(array.shape)} {array.dtype}" for name, array in arrays.items()) or "nothing"
        raise ValueError(f"{path} holds {shapes}; points [k, n, 3], or [n, 3] with ptr, are needed")
    if points.ndim == 2 and "ptr" not in arrays:
        return None
    if points.ndim == 3:
        ends = np.arange(1, len(points) + 1) * points.shape[1]
    else:
        ends = _ends(path, arrays["ptr"], len(points))
    if not len(ends):
        raise ValueError(f"{path} holds no cloud at all")
    rows = points.reshape(-1, points.shape[-1])
    return CloudArrays(str(path), rows, ends, _labels(path, arrays, len(ends)), _splits(path, arrays, len(ends)))


def _ends(path: Path, offsets: Shaped[np.ndarray, "..."], rows: int) -> Int64[np.ndarray, "k"]:
    fits = offsets.ndim == 1 and offsets.dtype.kind in "ui" and len(offsets) and offsets[0] == 0 and offsets[-1] == rows
    if not fits or (np.diff(offsets.astype(np.int64)) < 0).any():
        raise ValueError(f"ptr of {path} does not rise from 0 to the {rows} points; it holds where every cloud begins")
    return offsets[1:].astype(np.int64)


def _labels(path: Path, arrays: dict[str, np.ndarray], count: int) -> list[str | None]:
    key = next((name for name in LABELS if name in arrays), None)
    if key is None:
        return [None] * count
    values = arrays[key].reshape(-1)
    if len(values) != count:
        raise ValueError(f"{key} of {path} holds {len(values)} labels for {count} clouds; give one each")
    names = next((arrays[name].tolist() for name in CLASSES if name in arrays), None)
    if names is None or values.dtype.kind not in "ui":
        return [str(value) for value in values.tolist()]
    if values.min() < 0 or values.max() >= len(names):
        raise ValueError(f"{key} of {path} holds {values.max()}, and there are {len(names)} names of classes")
    return [str(names[value]) for value in values.tolist()]


def _splits(path: Path, arrays: dict[str, np.ndarray], count: int) -> list[str | None]:
    if "split" not in arrays:
        return [None] * count
    words = [str(word).lower() for word in arrays["split"].tolist()]
    unknown = next((word for word in words if word not in SPLITS), None)
    if len(words) != count or unknown is not None:
        what = f"{len(words)} entries for {count} clouds" if unknown is None else f"the unknown part {unknown!r}"
        raise ValueError(f"split of {path} holds {what}; give train, validation or test for every cloud")
    return [SPLITS[word] for word in words]
