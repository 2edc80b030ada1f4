"""Files of time series: rows are moments, columns are channels."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

SUFFIXES = (".csv", ".npy", ".npz", ".parquet")
LAYOUTS = "a .csv, .npy, .npz or .parquet file [rows, channels], or a folder of them"
EMPTY = ("", "nan", "na", "null", "none")  # how files write that a value is missing
IRREGULAR = "irregular"


@dataclass(frozen=True, eq=False)
class Table:
    """One series. step: time from row to row, "irregular", or "" where no column tells it."""

    name: str
    values: Float[np.ndarray, "t c"]
    channels: tuple[str, ...]
    step: str = ""


def read_tables(spec: str | Path, channels: Sequence[str] | None = None) -> list[Table]:
    """All series that `spec` names, with the same columns. NaN marks what is missing."""
    base, _, key = str(spec).partition("::")
    path = Path(base)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
        if not files:
            raise ValueError(f"{path} holds no time series; DATA is {LAYOUTS}")
        names = [file.relative_to(path).as_posix() for file in files]
    elif path.is_file():
        files, names = [path], [path.name]
    else:
        raise FileNotFoundError(f"{path} does not exist; DATA is {LAYOUTS}")
    tables = [replace(_read(file, key), name=name) for file, name in zip(files, names, strict=True)]
    first = tables[0]
    for table in tables[1:]:
        if table.channels != first.channels:
            raise ValueError(
                f"{table.name} has {len(table.channels)} columns ({_few(table.channels)}), {first.name} has"
                f" {len(first.channels)} ({_few(first.channels)}); the series of one folder need the same columns"
            )
    return [_chosen(table, channels) for table in tables] if channels else tables


def _chosen(table: Table, channels: Sequence[str]) -> Table:
    unknown = [name for name in channels if name not in table.channels]
    if unknown:
        raise ValueError(f"{table.name} has no column {unknown[0]!r}; it has {_few(table.channels)}")
    places = [table.channels.index(name) for name in channels]
    return replace(table, values=table.values[:, places], channels=tuple(channels))


def _read(path: Path, key: str) -> Table:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _csv(path)
    if suffix == ".parquet":
        return _parquet(path)
    if suffix in (".npy", ".npz"):
        return _array(path, key)
    raise ValueError(f"{path} is not a kind of file that holds time series; DATA is {LAYOUTS}")


def _csv(path: Path) -> Table:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not readable as a table of text: {error}") from None
    if not rows:
        raise ValueError(f"{path} is empty; a table of numbers is needed")
    header = None if all(_number(cell) or _date(cell) for cell in rows[0]) else rows[0]
    body = rows[1:] if header else rows
    width = len(rows[0])
    for place, row in enumerate(body, start=2 if header else 1):
        if len(row) != width:
            raise ValueError(f"line {place} of {path} has {len(row)} columns, the first has {width}; repair the file")
    if not body:
        raise ValueError(f"{path} has a header but no rows")
    columns = list(zip(*body, strict=True))
    names = header or [f"channel_{i}" for i in range(width)]
    dated = next((_date(cell) for cell in columns[0] if cell.strip()), False)
    step = _step([_moment(cell) for cell in columns[0]]) if dated else ""
    first = 1 if dated else 0
    if not any(any(_number(cell, missing=False) for cell in column) for column in columns[first:]):
        raise ValueError(f"{path} has no numeric column; time series are columns of numbers")
    values = [_numbers(column, name, path) for column, name in zip(columns[first:], names[first:], strict=True)]
    return Table(path.name, np.stack(values, axis=1), tuple(name.strip() for name in names[first:]), step)


def _numbers(column: Sequence[str], name: str, path: Path) -> Float[np.ndarray, "t"]:
    """A column as numbers; what is missing becomes NaN."""
    try:
        return np.array(column, dtype=np.float64)
    except ValueError:
        pass
    found = np.empty(len(column))
    for row, cell in enumerate(column):
        if not _number(cell):
            raise ValueError(
                f"column {name!r} of {path} holds {cell!r} in row {row}, where a number is expected; repair it, or"
                " name the columns to use with --channels"
            ) from None
        found[row] = np.nan if cell.strip().lower() in EMPTY else float(cell)
    return found


def _number(cell: str, missing: bool = True) -> bool:
    if cell.strip().lower() in EMPTY:
        return missing
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _moment(cell: str) -> datetime | None:
    try:
        return datetime.fromisoformat(cell.strip())
    except ValueError:
        return None


def _date(cell: str) -> bool:
    return _moment(cell) is not None and not _number(cell)


def _step(moments: Sequence[datetime | None]) -> str:
    """The time from row to row in words."""
    if len(moments) < 2 or any(moment is None for moment in moments):
        return IRREGULAR
    known = [moment.replace(tzinfo=None) for moment in moments if moment is not None]
    steps = {after - before for before, after in pairwise(known)}
    return _duration(steps.pop()) if len(steps) == 1 else IRREGULAR


def _duration(step: timedelta) -> str:
    seconds = step.total_seconds()
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count = seconds / size
        if count >= 1 and count == int(count):
            return f"{int(count)} {unit}{'s' if count != 1 else ''}"
    return f"{seconds:g} seconds"


def _parquet(path: Path) -> Table:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from None
    names, step = list(table.column_names), ""
    kinds = dict(zip(names, table.schema.types, strict=True))
    if names and pyarrow.types.is_temporal(kinds[names[0]]):
        moments = [None if m is None else datetime.fromisoformat(str(m)) for m in table[names[0]].to_pylist()]
        step, names = _step(moments), names[1:]
    numeric = [
        name for name in names if pyarrow.types.is_integer(kinds[name]) or pyarrow.types.is_floating(kinds[name])
    ]
    if not numeric:
        raise ValueError(f"{path} has no numeric column; time series are columns of numbers")
    if len(numeric) < len(names):
        other = next(name for name in names if name not in numeric)
        raise ValueError(f"column {other!r} of {path} is of type {kinds[other]}, where numbers are expected")
    columns = [table[name].cast(pyarrow.float64()).to_numpy() for name in numeric]
    return Table(path.name, np.stack(columns, axis=1), tuple(numeric), step)


def _array(path: Path, key: str) -> Table:
    try:
        found = np.load(path, allow_pickle=False)
        arrays = {path.stem: found} if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    fitting = {name: a for name, a in arrays.items() if a.dtype.kind in "uif" and a.ndim in (1, 2)}
    if key:
        fitting = {name: a for name, a in fitting.items() if name == key}
    if len(fitting) != 1:
        shapes = ", ".join(f"{name} {list(a.shape)} {a.dtype}" for name, a in arrays.items()) or "nothing"
        raise ValueError(
            f"{path} holds {shapes}; one array [rows, channels] of numbers is needed, chosen with {path.name}::KEY"
        )
    values: Shaped[np.ndarray, "..."] = next(iter(fitting.values()))
    values = values[:, None] if values.ndim == 1 else values
    if not values.size:
        raise ValueError(f"{path} has shape {values.shape}, no numbers at all")
    return Table(path.name, values.astype(np.float64), tuple(f"channel_{i}" for i in range(values.shape[1])))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
