"""Time series as windows: every sample is a run of consecutive rows of one series.

Parts are ranges of time. A window belongs to the part in which its last `max(horizon, 1)` rows lie and may look back
into the part before, as Informer's and PatchTST's loaders do.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from unmask.data.picture import Unreadable
from unmask.data.series_files import Table, read_tables
from unmask.data.source import Item, Listing
from unmask.data.values import ValueSource

PARTS = ("train", "validation", "test")
SHARES = (0.7, 0.1, 0.2)  # of the rows; what rounding leaves over is validation, as in Informer's loader
MONTH = 30 * 24  # rows of hourly data
PUBLISHED = {  # rows of the parts, by which every paper reports these sets: 12, 4 and 4 months
    **{f"etth{i}": (12 * MONTH, 4 * MONTH, 4 * MONTH) for i in (1, 2)},
    **{f"ettm{i}": (48 * MONTH, 16 * MONTH, 16 * MONTH) for i in (1, 2)},
}


@dataclass(frozen=True)
class Borders:
    """Where the training, validation and test rows of one series end. published: not by shares."""

    train: int
    validation: int
    test: int
    published: bool = False

    def part(self, place: int) -> str | None:
        """The part of the row at this place, or None behind the last part."""
        for name in PARTS:
            if place < getattr(self, name):
                return name
        return None


def borders(name: str, rows: int) -> Borders:
    """The parts of a series: those published for its name, else the shares."""
    published = PUBLISHED.get(Path(name).stem.lower())
    if published is not None and sum(published) <= rows:
        train, validation, test = published
        return Borders(train, train + validation, train + validation + test, True)
    train, test = int(rows * SHARES[0]), int(rows * SHARES[2])
    return Borders(train, rows - test, rows)


class SeriesSource(ValueSource):
    """Windows of `length` rows, and of `horizon` more to forecast, at every place where a part has them.

    Values are kept in float64, as they are read; a window comes as float32.
    """

    noun = "windows"

    def __init__(self, origin: str, tables: Sequence[Table], length: int, horizon: int = 0):
        if length < 2 or horizon < 0:
            raise ValueError(f"windows of {length} rows with {horizon} to forecast are too short; give length >= 2")
        self.tables, self.length, self.horizon = tuple(tables), length, horizon
        self.channels = tables[0].channels
        self.borders = tuple(borders(table.name, len(table.values)) for table in tables)
        items: list[Item] = []
        places: list[tuple[int, int]] = []  # table and first row
        size = (length + horizon) * len(self.channels) * np.dtype(np.float32).itemsize
        for number, (table, ends) in enumerate(zip(tables, self.borders, strict=True)):
            digits = len(str(len(table.values)))
            found = list(_windows(ends, length, horizon))
            if not found:
                raise ValueError(
                    f"{table.name} has {len(table.values)} rows, too few for a window of {length + horizon} in any"
                    " part; set a smaller length or leave it out"
                )
            for first, part in found:
                items.append(Item(f"{table.name}[{first:0{digits}d}]", None, part, size))
                places.append((number, first))
        super().__init__(origin, Listing(items), classes=())
        self._places = np.array(places)

    def read(self, i: int) -> Float32[np.ndarray, "t c"]:
        """The rows of one window; raises Unreadable where a value is missing."""
        number, first = self._places[i]
        table = self.tables[number]
        found = table.values[first : first + self.length + self.horizon]
        lost = np.argwhere(~np.isfinite(found))
        if len(lost):
            row, channel = lost[0]
            raise Unreadable(f"lacks {len(lost)} value(s), the first in row {first + row} of {self.channels[channel]}")
        return found.astype(np.float32)

    def training_rows(self) -> Float[np.ndarray, "t c"]:
        """The rows of the training part of all series."""
        return np.concatenate(
            [table.values[: ends.train] for table, ends in zip(self.tables, self.borders, strict=True)]
        )

    def fingerprint(self) -> str:
        """Of the values themselves, the names and the windows."""
        digest = hashlib.sha256(f"{self.length} {self.horizon} {self.channels}\n".encode())
        for table in self.tables:
            digest.update(f"{table.name} {table.values.shape}\n".encode())
            digest.update(np.ascontiguousarray(table.values).tobytes())
        return digest.hexdigest()


def _windows(ends: Borders, length: int, horizon: int) -> Iterable[tuple[int, str]]:
    """First row and part of every window whose last rows lie in one part."""
    tail = max(horizon, 1)
    for first in range(ends.test - length - horizon + 1):
        last = first + length + horizon - 1
        part = ends.part(last)
        if part is not None and ends.part(last - tail + 1) == part:
            yield first, part


def open_series(spec: str | Path, length: int, horizon: int = 0, channels: Sequence[str] | None = None) -> SeriesSource:
    """The windows of the series that `spec` names: a .csv, .npy, .npz or .parquet file, or a folder of them.

    channels: names of the columns to use, in order. Raises ValueError with one sentence for what cannot be read.
    """
    return SeriesSource(str(spec), read_tables(spec, channels), length, horizon)
