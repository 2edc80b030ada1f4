"""Parquet files with a column of encoded pictures, as Hugging Face and others store them."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unmask.data.decode import Decoder
from unmask.data.names import split_of
from unmask.data.picture import Unreadable
from unmask.data.source import Item, Listing, Source

KEPT = 1 << 30  # bytes of row groups in memory; a set below this is read once, a larger one is faster as tar shards
IMAGE_COLUMNS = ("image", "img", "images", "picture", "photo", "pixels", "jpg", "png", "bytes")
LABEL_COLUMNS = ("label", "labels", "class", "target", "fine_label", "coarse_label", "cls", "y")


class ParquetSource(Source):
    """Rows of one or many files. The picture column holds bytes, or a struct with the field `bytes`."""

    def __init__(self, origin: str, root: Path, paths: Sequence[Path], decoder: Decoder):
        from pyarrow import ArrowException

        self.paths = list(paths)
        self._groups: OrderedDict[int, list[bytes | None]] = OrderedDict()
        self._used = 0
        items: list[Item] = []
        places: list[tuple[int, int]] = []  # file and row group
        ends = [0]
        classes: list[str] | None = None
        try:
            for number, path in enumerate(self.paths):
                classes = self._index(number, path, root, items, places, ends) or classes
        except (ArrowException, OSError) as error:
            raise ValueError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from None
        super().__init__(origin, Listing(items), decoder, classes)
        self._places, self._ends = places, np.array(ends)

    def data(self, i: int) -> bytes:
        group = int(np.searchsorted(self._ends, i, side="right")) - 1
        found = self._group(group)[i - int(self._ends[group])]
        if not found:
            raise Unreadable("has no bytes in its row")
        return found

    def _index(self, number: int, path: Path, root: Path, items: list, places: list, ends: list) -> list[str] | None:
        """Adds the rows of one file; returns the names of its classes, if it has some."""
        import pyarrow.parquet as parquet

        file = parquet.ParquetFile(path)
        schema, meta = file.schema_arrow, file.metadata
        image, label = image_column(schema, path), label_column(schema)
        names = _class_names(schema, label)
        values = file.read([label]).column(label).to_pylist() if label else [None] * meta.num_rows
        name = path.relative_to(root).as_posix()
        sizes = _mean_sizes(meta, image)
        for row, (value, size) in enumerate(zip(values, sizes, strict=True)):
            items.append(Item(f"{name}/{row:08d}", label_name(value, names), split_of(name), size))
        for group in range(meta.num_row_groups):
            places.append((number, group))
            ends.append(ends[-1] + meta.row_group(group).num_rows)
        return names

    def _group(self, group: int) -> list[bytes | None]:
        """The encoded pictures of a row group; the groups used last stay in memory."""
        if group in self._groups:
            self._groups.move_to_end(group)
            return self._groups[group]
        import pyarrow.parquet as parquet

        number, place = self._places[group]
        try:
            file = parquet.ParquetFile(self.paths[number])
            column = image_column(file.schema_arrow, self.paths[number])
            rows = file.read_row_group(place, [column]).column(column).to_pylist()
        except Exception as error:  # a damaged page raises whatever its decompressor raises
            raise Unreadable(f"cannot be read from its row group: {str(error).splitlines()[0]}") from None
        found = [row.get("bytes") if isinstance(row, dict) else row for row in rows]
        self._groups[group] = found
        self._used += _size(found)
        while self._used > KEPT and len(self._groups) > 1:
            self._used -= _size(self._groups.popitem(last=False)[1])
        return found

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_groups": OrderedDict(), "_used": 0}


def _mean_sizes(meta, image: str) -> list[int]:
    """Bytes of every picture, as far as the row groups tell."""
    sizes: list[int] = []
    for number in range(meta.num_row_groups):
        group = meta.row_group(number)
        columns = [group.column(i) for i in range(group.num_columns)]
        total = sum(c.total_uncompressed_size for c in columns if c.path_in_schema.partition(".")[0] == image)
        sizes += [total // max(group.num_rows, 1)] * group.num_rows
    return sizes


def _size(rows: list[bytes | None]) -> int:
    return sum(len(row or b"") for row in rows)


def image_column(schema, path: Path) -> str:
    """The column of encoded pictures: called so, or the only one that holds bytes."""
    import pyarrow as pa

    def holds_bytes(kind) -> bool:
        if pa.types.is_struct(kind):
            return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
        return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)

    fitting = [field.name for field in schema if holds_bytes(field.type)]
    named = [name for name in IMAGE_COLUMNS if name in fitting]
    if named:
        return named[0]
    if len(fitting) == 1:
        return fitting[0]
    columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
    raise ValueError(f"{path} has no column that can be told to hold pictures; call it `image`. Columns: {columns}")


def label_column(schema) -> str | None:
    """The column of classes, if there is one of whole numbers or text."""
    import pyarrow as pa

    for name in LABEL_COLUMNS:
        if name in schema.names:
            kind = schema.field(name).type
            if pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
                return name
    return None


def label_name(value: int | str | None, names: Sequence[str] | None) -> str | None:
    """The class as text; negative numbers stand for none."""
    if value is None or (isinstance(value, int) and value < 0):
        return None
    return names[value] if names and isinstance(value, int) and value < len(names) else str(value)


def _class_names(schema, label: str | None) -> list[str] | None:
    """What Hugging Face notes beside the columns about the numbers of the classes."""
    if label is None:
        return None
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[label]["names"]
    except (KeyError, ValueError, TypeError):
        return None
    return [str(name) for name in names] if isinstance(names, list) and names else None
