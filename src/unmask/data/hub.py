"""Hugging Face data sets: by name from the hub or its cache, or a folder that was saved with `save_to_disk`."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from unmask.data.decode import Decoder
from unmask.data.names import SPLITS
from unmask.data.network import Unreachable, require_host
from unmask.data.parquet import IMAGE_COLUMNS, LABEL_COLUMNS, label_name
from unmask.data.picture import Unreadable
from unmask.data.source import Item, Listing, Source


class HubSource(Source):
    """The pictures of one or several splits, read from their Arrow files in place."""

    def __init__(self, origin: str, parts: dict, decoder: Decoder):
        self._parts, items, classes = [], [], None
        for split, part in parts.items():
            image, label, names = _columns(origin, part)
            classes = names or classes
            values = part.with_format(None)[label] if label else [None] * len(part)
            named = SPLITS.get(split.lower())
            rows = zip(values, _row_sizes(part, image), strict=True)
            items += [
                Item(f"{split}/{i:08d}", label_name(value, names), named, size) for i, (value, size) in enumerate(rows)
            ]
            self._parts.append((image, part.select_columns([image])))
        super().__init__(origin, Listing(items), decoder, classes)

    def data(self, i: int) -> bytes:
        for image, part in self._parts:
            if i < len(part):
                found = part[i][image] or {}
                return found.get("bytes") or _local(found.get("path"))
            i -= len(part)
        raise IndexError(i)


def _row_sizes(part, image: str) -> list[int]:
    """Bytes of every encoded picture, from the offsets alone; 0 where the picture is in a file of its own."""
    import pyarrow.compute as compute

    sizes: list[int] = []
    for table in part.with_format("arrow").select_columns([image]).iter(batch_size=10_000):
        sizes += compute.binary_length(compute.struct_field(table.column(image), "bytes")).fill_null(0).to_pylist()
    return sizes


def _local(path: str | None) -> bytes:
    if not path or "://" in path:
        raise Unreadable("has no bytes in its row")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be opened: {error.strerror}") from None


def _columns(origin: str, part) -> tuple[str, str | None, list[str] | None]:
    """Names of the picture and label columns, and of the classes; pictures are left encoded."""
    import datasets

    features = part.features
    images = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    image = next((name for name in (*IMAGE_COLUMNS, *images) if name in images), None)
    if image is None:
        columns = ", ".join(f"{name} ({type(kind).__name__})" for name, kind in features.items())
        raise ValueError(f"{origin} has no column of type Image; columns: {columns}")
    known = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    label = next((name for name in (*LABEL_COLUMNS, *known) if name in features), None)
    return image, label, (list(features[label].names) if label in known else None)


def _undecoded(part):
    import datasets

    for name, kind in part.features.items():
        if isinstance(kind, datasets.Image):
            part = part.cast_column(name, datasets.Image(decode=False))
    return part


def _source(origin: str, found, decoder: Decoder) -> Source:
    import datasets

    parts = dict(found) if isinstance(found, datasets.DatasetDict) else {str(found.split or "all"): found}
    return HubSource(origin, {name: _undecoded(part) for name, part in parts.items()}, decoder)


def _datasets(what: str):
    try:
        import datasets
    except ImportError:
        raise ValueError(f"{what} needs the package datasets: pip install 'unmask[hub]'") from None
    return datasets


def open_saved(path: Path, decoder: Decoder) -> Source:
    """A folder written by `Dataset.save_to_disk` or `DatasetDict.save_to_disk`."""
    found = _datasets(str(path)).load_from_disk(str(path))
    return _source(str(path), found, decoder)


def open_hub(name: str, decoder: Decoder) -> Source:
    """NAME or NAME:CONFIGURATION. With HF_HUB_OFFLINE=1 only what is in the cache."""
    datasets = _datasets(f"hf:{name}")
    if os.environ.get("HF_HUB_OFFLINE", "0") in ("0", ""):
        host = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co")).hostname or "huggingface.co"
        require_host(host, f"hf:{name}")
    repository, _, configuration = name.partition(":")
    try:
        found = datasets.load_dataset(repository, configuration or None)
    except Exception as error:  # the library raises its own, requests' and the hub's kinds
        raise Unreachable(f"hf:{name} cannot be loaded: {str(error).splitlines()[0]}") from None
    return _source(f"hf:{name}", found, decoder)
