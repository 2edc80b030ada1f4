"""Files of rasters: bands of the same place at one date or several, from .tif and .npz files."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from unmask.data.decode import LARGEST
from unmask.data.extras import needed
from unmask.data.files import FileSource
from unmask.data.picture import Box, Picture, Unreadable, finite, numbered
from unmask.data.source import Item, Source
from unmask.data.stored import open_stored
from unmask.data.tiff import decode_tiff

SUFFIXES = (".tif", ".tiff")
LAYOUTS = "a .tif or .npz file, or a folder, a glob, a list or a .tar of .tif files"
GEOGRAPHIC = (33550, 34264, 34735)  # tags of a TIFF that say where on Earth it lies
IN_NAME = re.compile(
    r"[-_.]?((?:19|20)\d\d)[-_]?([01]\d)[-_]?([0-3]\d)(?:[T_-]?([0-2]\d)[-:]?[0-5]\d(?:[-:]?[0-5]\d)?Z?)?"
)
OF_TIFF = re.compile(r"^(\d{4}):(\d\d):")  # a TIFF writes 2015:07:11 10:00:08
DATE_TAGS = ("ACQUISITION", "ACQUIRED", "SENSING", "TIMESTAMP", "DATE", "DATETIME")
KEPT = 64  # decoded files without a place on Earth, which cannot be read in parts

Moment = tuple[int, int, int]  # year, month, hour


class Reading:
    """What is known of one date before its pixels are read, and how these are."""

    def __init__(self, size: tuple[int, int], moment: Moment | None):
        self.size, self.moment = size, moment

    def __call__(self, box: Box) -> Picture:
        """The pixels of a box; raises Unreadable with the reason."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(box)")


@dataclass(frozen=True, eq=False)
class Dated:
    """One date of a place: its name, where it stands in the data set, and its pixels."""

    name: str
    reading: Reading
    bytes: int = 0


@dataclass(frozen=True, eq=False)
class Scene:
    """A place with one or more dates, in their order. fault: why it cannot be used, "" if it can."""

    name: str
    dates: tuple[Dated, ...]
    label: str | None = None
    split: str | None = None
    fault: str = ""

    @property
    def size(self) -> tuple[int, int]:
        return self.dates[0].reading.size


class FromArray(Reading):
    """A date in memory."""

    def __init__(self, values: Shaped[np.ndarray, "h w c"], bands: tuple[str, ...], moment: Moment | None = None):
        super().__init__((values.shape[0], values.shape[1]), moment)
        self.values, self.bands = values, bands

    def __call__(self, box: Box) -> Picture:
        top, left, height, width = box
        return finite(self.values[top : top + height, left : left + width], self.bands)


class PlainTiff(Reading):
    """A .tif that lies nowhere on Earth: decoded whole, the last ones kept."""

    def __init__(self, source: Source, i: int, moment: Moment | None, size: tuple[int, int]):
        super().__init__(size, moment)
        self.source, self.i = source, i

    def __call__(self, box: Box) -> Picture:
        return _decoded(self.source, self.i).part(box, box[2:])


@lru_cache(maxsize=KEPT)
def _decoded(source: Source, i: int) -> Picture:
    return decode_tiff(source.data(i), LARGEST)


class GeoTiff(Reading):
    """A .tif with a place on Earth, read by rasterio, only where it is looked at."""

    def __init__(self, source: Source, i: int, moment: Moment | None):
        self.source, self.i = source, i
        with self.opened() as file:
            super().__init__((file.height, file.width), moment or _tagged(file))
            described = tuple(name.strip() for name in file.descriptions if name)
            unique = len(described) == file.count == len(set(described))
            self.bands = described if unique else numbered(file.count)
            self.nodata = file.nodata

    @contextmanager
    def opened(self) -> Iterator[Any]:
        rasterio = needed("rasterio", "rasterio", "a .tif with a place on Earth", "rasters")
        try:
            if isinstance(self.source, FileSource):
                with rasterio.open(self.source.path(self.i)) as file:
                    yield file
            else:
                with rasterio.MemoryFile(self.source.data(self.i)) as memory, memory.open() as file:
                    yield file
        except rasterio.errors.RasterioError as error:
            raise Unreadable(f"cannot be read: {error}") from None

    def __call__(self, box: Box) -> Picture:
        top, left, height, width = box
        with self.opened() as file:
            values = file.read(window=((top, top + height), (left, left + width)))
        return finite(np.moveaxis(values, 0, -1), self.bands, self.nodata)


def _tagged(file: Any) -> Moment | None:
    """The date in the tags of a file."""
    tags = {key.upper(): value for key, value in file.tags().items()}
    for word in DATE_TAGS:
        for key, value in tags.items():
            if word in key and (moment := moment_of(OF_TIFF.sub(r"\1-\2-", value))):
                return moment
    return None


def moment_of(value: Any) -> Moment | None:
    """Year, month and hour of a text, a date of numpy, or days since 1970; None where it is none of these."""
    if isinstance(value, np.datetime64):
        value = str(value.astype("datetime64[s]"))
    if isinstance(value, (int, np.integer)):
        date = datetime(1970, 1, 1) + timedelta(days=int(value))
        return date.year, date.month, date.hour
    try:
        date = datetime.fromisoformat(str(value).strip().replace("Z", ""))
    except ValueError:
        return None
    return date.year, date.month, date.hour


def name_and_moment(name: str) -> tuple[str, Moment | None]:
    """The name of a file without its date, which it shares with other dates of the place, and the date."""
    stem = name.rpartition(".")[0]
    dates = list(IN_NAME.finditer(stem.rpartition("/")[2]))
    found = dates[-1] if dates else None  # product names begin with other dates
    if found is None or not 1 <= int(found[2]) <= 12 or not 1 <= int(found[3]) <= 31:
        return stem, None
    folder, slash, last = stem.rpartition("/")
    place = (last[: found.start()] + last[found.end() :]).strip("-_.")
    return folder + slash + place, (int(found[1]), int(found[2]), int(found[4] or 0))


def read_scenes(spec: str | Path) -> tuple[list[Scene], dict[str, str]]:
    """All places that `spec` names, by name, and what was refused with the reason."""
    base = Path(str(spec).partition("::")[0])
    if base.suffix == ".npz" and base.is_file():
        return _arrays(base, str(spec).partition("::")[2]), {}
    if base.is_file() and base.suffix.lower() not in (*SUFFIXES, ".tar", ".txt", ".lst"):
        raise ValueError(f"{base} is not a kind of file that holds rasters; DATA is {LAYOUTS}")
    source = open_stored(spec, SUFFIXES, "rasters")
    places: dict[str, list[tuple[Item, Dated | str]]] = {}
    for i, item in enumerate(source.items):
        place, moment = name_and_moment(item.name)
        places.setdefault(place, []).append((item, _dated(source, i, moment)))
    return [_scene(place, found) for place, found in sorted(places.items())], source.refused


def _dated(source: Source, i: int, moment: Moment | None) -> Dated | str:
    """One file, or why it cannot be used."""
    import tifffile

    item = source.items[i]
    try:
        data = source.path(i) if isinstance(source, FileSource) else io.BytesIO(source.data(i))
        with tifffile.TiffFile(data) as file:
            page: Any = file.pages[0]
            on_earth = any(tag in page.tags for tag in GEOGRAPHIC)
            size = (page.imagelength, page.imagewidth)
        reading: Reading = GeoTiff(source, i, moment) if on_earth else PlainTiff(source, i, moment, size)
    except Unreadable as error:
        return error.reason
    except (tifffile.TiffFileError, OSError, ValueError, IndexError) as error:
        return f"is no readable TIFF: {error}"
    return Dated(item.name, reading, item.size)


def _scene(place: str, found: list[tuple[Item, Dated | str]]) -> Scene:
    """The place with its dates in their order; dates that cannot be used are left out where others are there."""
    item = found[0][0]
    dates = [one for _, one in found if isinstance(one, Dated)]
    if not dates:
        return Scene(item.name, (), item.label, item.split, str(found[0][1]))
    first = dates[0].reading
    for one in dates[1:]:
        if one.reading.size != first.size:
            sizes = " and ".join(f"{h}x{w}" for h, w in (first.size, one.reading.size))
            return Scene(
                item.name, (), item.label, item.split, f"has dates of {sizes} pixels; resample them to one grid"
            )
    dates.sort(key=lambda one: (one.reading.moment or (0, 0, 0), one.name))
    return Scene(dates[0].name if len(dates) == 1 else place, tuple(dates), item.label, item.split)


def _arrays(path: Path, key: str) -> list[Scene]:
    """The places of an .npz file: bands last, dates or places before the rows."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    fitting = [name for name, array in arrays.items() if _holds_bands(name, array, arrays)]
    if key:
        fitting = [key] if key in arrays else []
    if len(fitting) != 1:
        held = ", ".join(f"{name} {list(a.shape)} {a.dtype}" for name, a in arrays.items()) or "nothing"
        raise ValueError(f"{path} holds {held}; choose the bands [dates, rows, columns, bands] with {path.name}::KEY")
    name = fitting[0]
    values, prefix = arrays[name], name[:-1] if name.endswith("_x") else ""
    near = {other.removeprefix(prefix): array for other, array in arrays.items() if other.startswith(prefix)}
    dates = _dates(near)
    labels = near.get("y")
    if values.ndim == 3 and dates is not None and dates.shape == values.shape[:2]:
        values = values[:, :, None, None]  # series of single pixels
    elif values.ndim == 3:
        values = values[None, None]
    elif values.ndim == 4:
        values = values[:, None] if labels is not None and len(labels) == len(values) else values[None]
    if values.ndim != 5:
        raise ValueError(f"{path}::{name} has shape {arrays[name].shape}; rasters are [dates, rows, columns, bands]")
    classes = _classes(labels, near.get("class_names"), len(values))
    bands = near.get("bands", near.get("band_names"))
    known = bands is not None and bands.dtype.kind == "U" and len(bands) == values.shape[-1]
    words = tuple(map(str, bands)) if known and bands is not None else numbered(values.shape[-1])
    digits, scenes = len(str(len(values) - 1)), []
    for i, place in enumerate(values):
        moments = _moments(dates, i, len(place), len(values))
        title = f"{name}[{i:0{digits}d}]" if len(values) > 1 else name
        known_dates = tuple(
            Dated(f"{title}@{t}", FromArray(array, words, moment), array.nbytes)
            for t, (array, moment) in enumerate(zip(place, moments, strict=True))
        )
        scenes.append(Scene(title, known_dates, classes[i]))
    return scenes


def _holds_bands(name: str, array: np.ndarray, arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether an array can only be bands: by its axes and its name."""
    word = name.rpartition("_")[2].rstrip("0123456789").lower()
    return array.dtype.kind in "uif" and array.ndim in (3, 4, 5) and word in ("bands", "x", "image", "images", "raster")


def _dates(near: Mapping[str, np.ndarray]) -> np.ndarray | None:
    return next((near[name] for name in ("dates", "timestamps", "days_since_1970") if name in near), None)


def _moments(dates: np.ndarray | None, place: int, count: int, places: int) -> Sequence[Moment | None]:
    """The dates of one place, where there is one for each."""
    if dates is None:
        return [None] * count
    own = dates[place] if dates.ndim == 2 and len(dates) == places else dates
    return [moment_of(date) for date in own] if own.shape == (count,) else [None] * count


def _classes(labels: np.ndarray | None, names: np.ndarray | None, count: int) -> list[str | None]:
    if labels is None or labels.shape != (count,):
        return [None] * count
    named = names is not None and labels.dtype.kind in "ui" and len(labels) and int(labels.max()) < len(names)
    return [str(names[label]) if named and names is not None else str(label) for label in labels]
