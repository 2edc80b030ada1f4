"""Source: a data set as a list of named samples that can be read one by one."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from unmask.data.decode import Decoder
from unmask.data.jpeg import Jpeg
from unmask.data.picture import Picture


@dataclass(frozen=True, slots=True)
class Item:
    """One sample: its name within the data set, and what its path tells.

    size: bytes. target: name of its segmentation mask.
    """

    name: str
    label: str | None = None
    split: str | None = None
    size: int = 0
    target: str | None = None


class Strings(Sequence[str]):
    """Millions of short strings in two arrays, which worker processes share without copying."""

    def __init__(self, strings: Iterable[str]):
        parts = [string.encode("utf-8", "surrogateescape") for string in strings]
        self._ends = np.cumsum([0, *map(len, parts)])
        self._text = np.frombuffer(b"".join(parts), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, i):
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        i = range(len(self))[i]
        return self._text[self._ends[i] : self._ends[i + 1]].tobytes().decode("utf-8", "surrogateescape")


class Listing(Sequence[Item]):
    """Items kept as columns: labels and splits as numbers, names as `Strings`."""

    def __init__(self, items: Iterable[Item]):
        items = list(items)
        self._names = Strings(item.name for item in items)
        self._labels, self._label = _coded([item.label for item in items])
        self._splits, self._split = _coded([item.split for item in items])
        self._sizes = np.array([item.size for item in items], dtype=np.int64)
        self._targets = Strings(item.target or "" for item in items) if any(item.target for item in items) else None

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, i):
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        return Item(
            self._names[i],
            self._labels[self._label[i]],
            self._splits[self._split[i]],
            int(self._sizes[i]),
            (self._targets[i] or None) if self._targets is not None else None,
        )


def _coded(values: Sequence[str | None]) -> tuple[list[str | None], np.ndarray]:
    names: dict[str | None, int] = {}
    codes = np.array([names.setdefault(value, len(names)) for value in values], dtype=np.int32)
    return list(names), codes


class Source:
    """Base of every layout: names, labels and splits; a layout adds how the bytes of a sample are found.

    noun: what its samples are called. classes: names of the labels in the order of their numbers, () for none.
    refused: what stands beside the samples but is never read (links out of an archive, devices, ...), with reasons.
    transductive: whether what is asked about is a part of what is trained on, as the nodes of one graph; then nothing
    can be held out, and the network is looked at on its training data under other masks.
    """

    noun = "pictures"
    transductive = False

    def __init__(
        self,
        origin: str,
        items: Sequence[Item],
        decoder: Decoder | None = None,
        classes: Sequence[str] | None = None,
        refused: Mapping[str, str] | None = None,
    ):
        self.origin = origin
        self.items = items
        self.decoder = decoder or Decoder()
        self.classes = tuple(class_names(items) if classes is None else classes)
        self.refused = dict(refused or {})
        self._number = {name: i for i, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.items)

    def data(self, i: int) -> bytes:
        """The encoded bytes of one sample."""
        raise NotImplementedError(f"{type(self).__name__} must define data(i)")

    def target_data(self, i: int) -> bytes:
        """The encoded bytes of the segmentation mask of one sample."""
        raise NotImplementedError(f"{type(self).__name__} has no segmentation masks")

    def read(self, i: int) -> Any:
        """One sample, by default a Picture; raises Unreadable with the reason."""
        return self.decoder(self.data(i))

    def read_for(self, i: int, size: tuple[int, int]) -> Picture | Jpeg:
        """The picture of one sample for views of this size, see `Decoder.begin`; raises Unreadable with the reason."""
        return self.decoder.begin(self.data(i), size)

    def read_target(self, i: int) -> Int64[np.ndarray, "*grid"] | None:
        """Class number per pixel or voxel, -1 where ignored; None when the sample has no mask."""
        return None if self.items[i].target is None else self.decoder.mask(self.target_data(i))

    def label(self, i: int) -> int:
        """Number of the sample's class, -1 if it has none."""
        return self._number.get(self.items[i].label or "", -1)

    @property
    def has_targets(self) -> bool:
        """Whether any sample has a segmentation mask."""
        return any(item.target for item in self.items)

    def splits(self) -> dict[str, list[int]]:
        """Samples of every named split ("train", "validation", "test"); samples without one are left out."""
        found: dict[str, list[int]] = {}
        for i, item in enumerate(self.items):
            if item.split is not None:
                found.setdefault(item.split, []).append(i)
        return found

    def subset(self, indices: Iterable[int]) -> "Source":
        """The samples at these places, with the same classes."""
        return Subset(self, indices)

    def fingerprint(self) -> str:
        """Equal for the same names and sizes, wherever the data set is mounted and in whatever order it is listed."""
        digest = hashlib.sha256()
        for row in sorted(f"{item.name}\0{item.size}\n" for item in self.items):
            digest.update(row.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


class _Chosen(Sequence[Item]):
    def __init__(self, items: Sequence[Item], indices: np.ndarray):
        self._items, self._indices = items, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, i):
        if isinstance(i, slice):
            return [self._items[int(j)] for j in self._indices[i]]
        return self._items[int(self._indices[i])]


class Subset(Source):
    """Some samples of another source, in the given order."""

    def __init__(self, whole: Source, indices: Iterable[int]):
        places = np.fromiter(indices, dtype=np.int64)
        if len(places) and (places.min() < 0 or places.max() >= len(whole)):
            raise ValueError(f"place {places.max()} is outside a data set of {len(whole)} samples")
        self.whole, self.indices, self.noun, self.transductive = whole, places, whole.noun, whole.transductive
        super().__init__(whole.origin, _Chosen(whole.items, places), whole.decoder, whole.classes, whole.refused)

    def data(self, i: int) -> bytes:
        return self.whole.data(int(self.indices[i]))

    def target_data(self, i: int) -> bytes:
        return self.whole.target_data(int(self.indices[i]))

    def read(self, i: int) -> Any:
        return self.whole.read(int(self.indices[i]))

    def read_for(self, i: int, size: tuple[int, int]) -> Picture | Jpeg:
        return self.whole.read_for(int(self.indices[i]), size)

    def read_target(self, i: int) -> Int64[np.ndarray, "*grid"] | None:
        return self.whole.read_target(int(self.indices[i]))


def class_names(items: Sequence[Item]) -> list[str]:
    """The labels that occur, sorted as numbers when all are numbers; none when there are fewer than two."""
    names = {item.label for item in items if item.label is not None}
    if len(names) < 2:
        return []
    if all(name.isascii() and name.isdigit() for name in names):
        return sorted(names, key=int)
    return sorted(names)
