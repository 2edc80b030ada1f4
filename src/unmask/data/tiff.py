"""TIFF files: 8, 16, 32 bit and float, one or many pages; pages of equal size are channels."""

import io
import logging
import re
from typing import Literal

import numpy as np
from jaxtyping import Shaped

from unmask.data.picture import Picture, Unreadable, finite, numbered

MOST_PAGES = 1024
MANY = f"has more than {MOST_PAGES} pages"
NODATA = 42113  # the tag in which GDAL keeps the "no data" value
PALETTE, YCBCR, MASK = 3, 6, 4


def page_count(data: bytes) -> int:
    """How many full-size pages the file has."""
    with _opened(data) as file:
        return len(_pages(file))


def decode_tiff(data: bytes, largest: int, page: int | None = None) -> Picture:
    """All full-size pages as channels, or one of them. Values keep their type; "no data" values count as missing."""
    with _opened(data) as file:
        pages = _pages(file) if page is None else _pages(file)[page : page + 1]
        shapes = sorted({"x".join(map(str, page.shape)) + f" {page.dtype}" for page in pages})
        if len(shapes) > 1:
            raise Unreadable(f"has pages of different size or type ({', '.join(shapes[:3])})")
        for page in pages:
            _check_page(page, len(data), largest // len(pages) if len(pages) > 4 else largest)
        values = np.concatenate([_values(page) for page in pages], axis=2)
        return finite(values, _names(file, pages, values.shape[2]), _nodata(pages[0]))


def _opened(data: bytes):
    import tifffile

    check_chain(data)
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # every complaint of it becomes a reason
    return tifffile.TiffFile(io.BytesIO(data), is_ome=False)  # OME descriptions may point to other files


def _pages(file) -> list:
    pages = [page for page in file.pages if not _reduced(page)]
    if not pages:
        raise Unreadable("has no page")
    return pages


def check_chain(data: bytes) -> None:
    """Raises Unreadable unless every page is there: a chain of pages that is cut off would be read as a shorter one."""
    byteorder: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    big = int.from_bytes(data[2:4], byteorder) == 43
    word, count_size, tag_size = (8, 8, 20) if big else (4, 2, 12)

    def number(place: int, size: int) -> int:
        if place + size > len(data):
            raise Unreadable("is truncated: the TIFF ends before its last page")
        return int.from_bytes(data[place : place + size], byteorder)

    place = number(8 if big else 4, word)
    seen: set[int] = set()
    while place:
        if place in seen or len(seen) == MOST_PAGES:
            raise Unreadable("has pages that follow each other in a circle" if place in seen else MANY)
        seen.add(place)
        place = number(place + count_size + number(place, count_size) * tag_size, word)


def _reduced(page) -> bool:
    return bool(getattr(page, "is_reduced", False)) or bool(getattr(page, "subfiletype", 0) & 1)


def _check_page(page, size: int, largest: int) -> None:
    """Size and completeness, before a pixel is decoded: a missing strip would otherwise be read as zeros."""
    height, width = page.imagelength, page.imagewidth
    if height * width > largest:
        raise Unreadable(f"has {height}x{width} pixels, more than the limit of {largest:,} per page")
    if page.dtype is None or page.imagedepth > 1:
        raise Unreadable("holds a kind of TIFF page that is not supported; save it as plain TIFF")
    if page.photometric in (YCBCR, MASK) and page.compression != 7:
        raise Unreadable("has a TIFF colour space that is not supported; save it as RGB")
    spans = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if not spans or any(count == 0 for _, count in spans):
        raise Unreadable("has a TIFF strip or tile without data")
    if max(start + count for start, count in spans) > size:
        raise Unreadable("is truncated: the TIFF ends before its last strip or tile")


def _values(page) -> Shaped[np.ndarray, "h w c"]:
    values = page.asarray(maxworkers=1)
    if page.photometric == PALETTE and page.colormap is not None:
        return np.moveaxis(page.colormap[:, values], 0, -1)
    if values.ndim == 2:
        return values[..., None]
    return np.moveaxis(values, 0, -1) if page.axes.startswith("S") else values


def _nodata(page) -> float | None:
    tag = page.tags.get(NODATA)
    try:
        return None if tag is None else float(str(tag.value).strip("\0 "))
    except ValueError:
        return None


def _names(file, pages, count: int) -> tuple[str, ...]:
    """Names that the file itself gives (OME or ImageJ), otherwise the usual ones."""
    found = re.findall(r"<Channel\b[^>]*?\bName=\"([^\"<]{1,100})\"", (pages[0].description or "")[:1_000_000])
    if not found and file.is_imagej:
        found = [str(label).strip() for label in (file.imagej_metadata or {}).get("Labels") or ()]
    if len(found) == count == len(set(found)):
        return tuple(found)
    if len(pages) > 1:
        return tuple(f"channel_{i}" for i in range(count))
    alpha = count in (2, 4) and tuple(pages[0].extrasamples) and pages[0].extrasamples[0] in (1, 2)
    return (*numbered(count - 1), "alpha") if alpha else numbered(count)
