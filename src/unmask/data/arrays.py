"""Pictures in arrays: .npz and .npy files, and the real images that come with scikit-learn."""

import hashlib
import math
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from unmask.data.decode import Decoder
from unmask.data.names import SPLITS
from unmask.data.picture import GREY, RGB, Picture, finite, numbered
from unmask.data.source import Item, Listing, Source

IMAGE_KEYS = ("image", "images", "x", "data", "arr_0")
LABEL_KEYS = ("label", "labels", "y", "target", "targets")
MOST_CHANNELS = 64  # a longer axis is taken for height or width
TILE, STRIDE = 64, 32  # of the two photographs


class ArraySource(Source):
    """Pictures as rows of arrays held in memory."""

    def __init__(
        self,
        origin: str,
        blocks: Sequence[Shaped[np.ndarray, "n h w c"]],
        items: Sequence[Item],
        decoder: Decoder,
        channels: Sequence[str],
        classes: Sequence[str] | None = None,
    ):
        super().__init__(origin, Listing(items), decoder, classes)
        self._blocks = list(blocks)
        self._ends = np.cumsum([len(block) for block in blocks])
        self._channels = tuple(channels)

    def read(self, i: int) -> Picture:
        return self.decoder.mapped(finite(self._row(i), self._channels))

    def read_for(self, i: int, size: tuple[int, int]) -> Picture:
        return self.read(i)

    def fingerprint(self) -> str:
        """Of the values themselves."""
        digest = hashlib.sha256()
        for block in self._blocks:
            digest.update(f"{block.shape} {block.dtype}\n".encode())
            for row in block:
                digest.update(row.tobytes())
        return digest.hexdigest()

    def _row(self, i: int) -> Shaped[np.ndarray, "h w c"]:
        block = int(np.searchsorted(self._ends, i, side="right"))
        return self._blocks[block][i - int(self._ends[block])]


def open_arrays(path: Path, key: str | None, decoder: Decoder) -> Source:
    """The pictures of a .npz or .npy file. `key` names the array when it cannot be told."""
    if path.suffix.lower() == ".npy":
        chosen = {path.stem: (None, _load(path, None))}
        labels = {}
    else:
        shapes = _headers(path)
        names = {key: None} if key else _image_keys(path, shapes)
        if key and key not in shapes:
            raise ValueError(f"{path} has no array {key!r}; it holds {_table(shapes)}")
        chosen = {name: (split, _load(path, name)) for name, split in names.items()}
        labels = _labels(path, shapes, chosen)
    items, blocks = [], []
    for name, (split, array) in chosen.items():
        block = channels_last(array, f"{path.name}::{name}")
        given = labels.get(name)
        size = block[0].nbytes if len(block) else 0
        items += [
            Item(f"{name}/{i:06d}", None if given is None else str(given[i]), split, size) for i in range(len(block))
        ]
        blocks.append(block)
    counts = sorted({block.shape[3] for block in blocks})
    if len(counts) > 1:
        raise ValueError(f"the arrays of {path} have different channel counts ({counts}); choose one with {path}::KEY")
    return ArraySource(f"{path}::{key}" if key else str(path), blocks, items, decoder, numbered(counts[0]))


def channels_last(array: Shaped[np.ndarray, "..."], name: str) -> Shaped[np.ndarray, "n h w c"]:
    """[n h w], [n h w c] or [n c h w] as [n h w c]: the shorter of the second and the last axis are the channels."""
    if array.ndim == 3:
        return array[..., None]
    if array.ndim != 4:
        raise ValueError(f"{name} has shape {array.shape}; pictures are [n h w], [n h w c] or [n c h w]")
    first, last = array.shape[1], array.shape[3]
    if min(first, last) > MOST_CHANNELS:
        raise ValueError(f"{name} has shape {array.shape}, where no axis can be told to be the channels")
    return np.moveaxis(array, 1, 3) if first < last else array


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of every array, read without loading one."""
    found = {}
    try:
        with zipfile.ZipFile(path) as file:
            for info in file.infolist():
                if info.filename.endswith(".npy"):
                    with file.open(info) as stream:
                        found[info.filename.removesuffix(".npy")] = _header(stream)
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise ValueError(f"{path} is not a readable .npz file: {error}") from None
    return found


def _header(stream) -> tuple[tuple[int, ...], np.dtype]:
    major, _ = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


def _image_keys(path: Path, shapes) -> dict[str, str | None]:
    """Arrays that are called pictures, with the split in their name; else the only one that can be pictures."""
    found = {}
    for name, (shape, dtype) in shapes.items():
        split, role = _role(name)
        if role in IMAGE_KEYS and len(shape) in (3, 4) and dtype.kind in "buif":
            found[name] = split
    if len(set(found.values())) == len(found) > 0:
        return found
    fitting = [name for name, (shape, dtype) in shapes.items() if len(shape) in (3, 4) and dtype.kind in "buif"]
    if len(fitting) == 1:
        return {fitting[0]: None}
    raise ValueError(f"{path} holds {_table(shapes)}; choose the pictures with {path}::KEY")


def _role(name: str) -> tuple[str | None, str]:
    """Split and role of an array: "train_images" and "x_train" are pictures of the split "train"."""
    words = name.lower().split("_")
    split = next((SPLITS[word] for word in words if word in SPLITS), None)
    return split, "_".join(word for word in words if word not in SPLITS)


def _labels(path: Path, shapes, chosen) -> dict[str, np.ndarray]:
    """Class of every row of the chosen arrays, by name where the file names the classes."""
    found = {}
    for name, (split, array) in chosen.items():
        for other, (shape, dtype) in shapes.items():
            its_split, role = _role(other)
            one_each = bool(shape) and math.prod(shape) == len(array) == shape[0]
            if role in LABEL_KEYS and its_split == split and dtype.kind in "uiU" and one_each:
                found[name] = _load(path, other).reshape(-1)
    if "class_names" in shapes and shapes["class_names"][1].kind == "U":
        names = _load(path, "class_names")
        found = {
            name: names[rows] if rows.dtype.kind in "ui" and len(rows) and rows.max() < len(names) else rows
            for name, rows in found.items()
        }
    return found


def _load(path: Path, key: str | None) -> np.ndarray:
    """One array, if it fits in memory. Objects (pickles) are refused by numpy."""
    try:
        if key is None:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        shape, dtype = _headers(path)[key]
        size, memory = math.prod(shape) * dtype.itemsize, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if size > memory // 2:
            raise ValueError(f"the array needs {size:,} bytes, more than half of this machine's memory")
        with np.load(path, allow_pickle=False) as file:
            return file[key]
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}{'::' + key if key else ''} cannot be read: {error}") from None


def _table(shapes) -> str:
    return ", ".join(f"{name} {list(shape)} {dtype}" for name, (shape, dtype) in shapes.items()) or "no arrays"


def digits(decoder: Decoder) -> Source:
    """1,797 handwritten digits of 8x8 pixels (0 to 16); the last 360, by other writers, are the test split."""
    from sklearn.datasets import load_digits

    found = load_digits()
    values = found.images.astype(np.uint8)[..., None]
    items = [
        Item(f"digits/{i:04d}", str(label), "train" if i < 1437 else "test", 64) for i, label in enumerate(found.target)
    ]
    return ArraySource("digits", [values], items, decoder, GREY)


def photos(decoder: Decoder) -> Source:
    """Overlapping 64x64 crops of two photographs (a temple, a flower); the right quarter of each is the test split."""
    from sklearn.datasets import load_sample_images

    found = load_sample_images()
    tiles, items = [], []
    for name, photo in zip(("temple", "flower"), found.images, strict=True):
        height, width = photo.shape[:2]
        border = width * 3 // 4
        for top in range(0, height - TILE + 1, STRIDE):
            for left in range(0, width - TILE + 1, STRIDE):
                if left < border < left + TILE:
                    continue  # no crop lies in both splits
                split = "test" if left >= border else "train"
                tiles.append(photo[top : top + TILE, left : left + TILE])
                items.append(Item(f"photos/{name}_{top:03d}_{left:03d}", name, split, TILE * TILE * 3))
    return ArraySource("photos", [np.stack(tiles)], items, decoder, RGB)
