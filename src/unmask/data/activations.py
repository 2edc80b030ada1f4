"""Activations: vectors that another network gave, one row a sample, as `unmask embed` writes them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped

from unmask.data.names import split_of
from unmask.data.picture import Unreadable
from unmask.data.source import Item, Listing, Source, Subset
from unmask.data.values import ValueSource

SUFFIXES = (".npy", ".parquet")
LAYOUTS = (
    "a .npy file [samples, width] or [samples, places, width], a .parquet file with a column `vector`, or a folder"
)
COLUMN, NAME, LABEL = "vector", "name", "label"


@dataclass(frozen=True, eq=False)
class Rows:
    """The vectors of one file, and what it says of them. places: rows that belong to one sample."""

    values: Shaped[np.ndarray, "n d"]
    names: Sequence[str]
    labels: Sequence[str | None]


class ActivationSource(ValueSource):
    """Rows of one width, from one file or many. Values stay as they are in the files; a row comes as float32."""

    noun = "activations"

    def __init__(self, origin: str, tables: Sequence[Rows]):
        widths = sorted({table.values.shape[1] for table in tables})
        if len(widths) > 1:
            raise ValueError(f"{origin} holds vectors of {widths[0]} and of {widths[1]} numbers; give one width")
        self.width = widths[0]
        self._tables = [table.values for table in tables]
        self._ends = np.cumsum([len(table.values) for table in tables])
        size = self.width * np.dtype(np.float32).itemsize
        items = [
            Item(name, label, split_of(name), size)
            for table in tables
            for name, label in zip(table.names, table.labels, strict=True)
        ]
        super().__init__(origin, Listing(items))

    def read(self, i: int) -> Float32[np.ndarray, "d"]:
        """One row; raises Unreadable where it is not finite or does not vary."""
        found = self.rows(np.array([i]))[0]
        if not np.isfinite(found).all():
            raise Unreadable(f"has {int((~np.isfinite(found)).sum())} value(s) that are not finite")
        if found.min() == found.max():
            raise Unreadable(f"is {found[0]:g} throughout")
        return found

    def rows(self, places: Shaped[np.ndarray, "m"]) -> Float32[np.ndarray, "m d"]:
        """Many rows at once, as they are."""
        found = np.empty((len(places), self.width), np.float32)
        tables = np.searchsorted(self._ends, places, side="right")
        for number in np.unique(tables):
            chosen = tables == number
            first = self._ends[number] - len(self._tables[number])
            found[chosen] = self._tables[number][places[chosen] - first]
        return found

    def fingerprint(self) -> str:
        """Of the values themselves and the names."""
        digest = hashlib.sha256(super().fingerprint().encode())
        for table in self._tables:
            digest.update(f"{table.shape} {table.dtype}\n".encode())
            for first in range(0, len(table), 1 << 14):
                digest.update(np.ascontiguousarray(table[first : first + (1 << 14)]).tobytes())
        return digest.hexdigest()


def rows_of(source: Source, places: Shaped[np.ndarray, "m"]) -> Float32[np.ndarray, "m d"]:
    """Many rows of activations, or of a part of them, at once and as they are. Raises TypeError for other data."""
    while isinstance(source, Subset):
        places = source.indices[places]
        source = source.whole
    if not isinstance(source, ActivationSource):
        raise TypeError(f"{source.origin} holds {source.noun}, not activations")
    return source.rows(places)


def open_activations(spec: str | Path) -> ActivationSource:
    """The rows that `spec` names: a .npy or .parquet file, or a folder of them. ValueError for what cannot be read."""
    path = Path(spec)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
        if not files:
            raise ValueError(f"{path} holds no activations; DATA is {LAYOUTS}")
        tables = [_read(file, f"{file.relative_to(path).with_suffix('').as_posix()}/") for file in files]
    elif path.is_file():
        tables = [_read(path, "")]
    else:
        raise FileNotFoundError(f"{path} does not exist; DATA is {LAYOUTS}")
    return ActivationSource(str(spec), tables)


def _read(path: Path, prefix: str) -> Rows:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _array(path, prefix)
    if suffix == ".parquet":
        return _parquet(path, prefix)
    raise ValueError(f"{path} is not a kind of file that holds activations; DATA is {LAYOUTS}")


def _array(path: Path, prefix: str) -> Rows:
    """A .npy file is left on the disk; its rows are named by their numbers."""
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path} is not a readable .npy file: {str(error).splitlines()[0]}") from None
    if values.ndim not in (2, 3) or not values.size or not np.issubdtype(values.dtype, np.floating):
        raise ValueError(
            f"{path} has the shape {values.shape} of {values.dtype}; activations are real numbers"
            " [samples, width] or [samples, places, width]"
        )
    if values.ndim == 2:
        names = [f"{prefix}{i:08d}" for i in range(len(values))]
    else:
        names = [f"{prefix}{i:08d}[{k}]" for i in range(len(values)) for k in range(values.shape[1])]
        values = values.reshape(-1, values.shape[-1])
    _check_width(path, values.shape[1])
    return Rows(values, names, [None] * len(names))


def _parquet(path: Path, prefix: str) -> Rows:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from None
    if COLUMN not in table.column_names or not len(table):
        raise ValueError(f"{path} has no rows in a column `{COLUMN}`; it has {', '.join(table.column_names) or 'none'}")
    column = table.column(COLUMN).combine_chunks()
    try:
        lengths = np.unique(column.value_lengths().to_numpy(zero_copy_only=False))
        values = np.asarray(column.flatten().to_numpy(zero_copy_only=False), np.float32)
    except (AttributeError, ValueError, TypeError, pyarrow.ArrowException):
        raise ValueError(f"the column `{COLUMN}` of {path} holds {column.type}, not lists of numbers") from None
    if len(lengths) != 1:
        raise ValueError(
            f"the vectors of {path} have {lengths.min():.0f} to {lengths.max():.0f} numbers; give one width"
        )
    _check_width(path, int(lengths[0]))
    rows = range(len(table))
    known = table.column_names
    names = table.column(NAME).to_pylist() if NAME in known else [f"{i:08d}" for i in rows]
    labels = table.column(LABEL).to_pylist() if LABEL in known else [None for _ in rows]
    return Rows(
        values.reshape(len(table), -1),
        [f"{prefix}{name}" for name in names],
        [None if label is None else str(label) for label in labels],
    )


def _check_width(path: Path, width: int) -> None:
    if width < 2:
        raise ValueError(f"{path} holds vectors of {width} number; activations have at least 2")
