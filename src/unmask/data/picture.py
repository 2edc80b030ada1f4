"""Picture: what a source gives for one sample, in the units of the file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Shaped

GREY = ("grey",)
RGB = ("red", "green", "blue")
Box = tuple[int, int, int, int]  # top, left, height, width in pixels
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's conversion to grey


class Unreadable(Exception):
    """One sample cannot be used; `reason` says why in plain words."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Picture:
    """Values in their native type, one name per channel.

    missing: True where a value is not a finite number or is marked as "no data"; `values` is 0 there.
    """

    values: Shaped[np.ndarray, "h w c"]
    channels: tuple[str, ...]
    missing: Bool[np.ndarray, "h w"] | None = None

    @property
    def height(self) -> int:
        return self.values.shape[0]

    @property
    def width(self) -> int:
        return self.values.shape[1]

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + (0 if self.missing is None else self.missing.nbytes)

    @property
    def kind(self) -> str:
        """Channels and type in words: what must agree within a data set."""
        return kind_words(self.channels, self.dtype)

    def part(self, box: Box, size: tuple[int, int]) -> "Picture":
        """The pixels of the box, whatever size a view will give them."""
        top, left, height, width = box
        rows, columns = slice(top, top + height), slice(left, left + width)
        missing = None if self.missing is None else self.missing[rows, columns]
        return Picture(self.values[rows, columns], self.channels, missing)


def kind_words(channels: Sequence[str], dtype: np.dtype) -> str:
    """Channels and type for a sentence."""
    return f"{channel_words(channels)}, {dtype}"


def channel_words(channels: Sequence[str]) -> str:
    """Channel names for a sentence; long lists are shortened."""
    if len(channels) <= 6:
        return " ".join(channels)
    return f"{channels[0]} ... {channels[-1]} ({len(channels)})"


def numbered(count: int) -> tuple[str, ...]:
    """Names for channels of which nothing is known; one channel is grey, three are red, green and blue."""
    return {1: GREY, 3: RGB}.get(count) or tuple(f"channel_{i}" for i in range(count))


def finite(values: Shaped[np.ndarray, "h w c"], channels: Sequence[str], nodata: float | None = None) -> Picture:
    """The picture of these values, with NaN, infinity and `nodata` marked as missing."""
    kind = values.dtype.kind
    if kind == "b":
        values = values.astype(np.uint8)
    elif kind not in "uif":
        raise Unreadable(f"holds values of type {values.dtype}; whole or real numbers are needed")
    if values.size == 0:
        raise Unreadable(f"is empty ({values.shape[0]}x{values.shape[1]} pixels)")
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    bad = ~np.isfinite(values) if kind == "f" else None
    if nodata is not None:
        bad = values == nodata if bad is None else bad | (values == nodata)
    if bad is None or not bad.any():
        return Picture(values, tuple(channels))
    empty = [name for name, lost in zip(channels, bad.all(axis=(0, 1)), strict=True) if lost]
    if empty:
        raise Unreadable(f"has no valid pixel in {channel_words(empty)}")
    missing = bad.any(axis=2)
    if missing.all():
        raise Unreadable("has no pixel that is valid in every channel")
    return Picture(np.where(bad, values.dtype.type(0), values), tuple(channels), missing)


def map_channels(picture: Picture, wanted: tuple[str, ...]) -> Picture:
    """The picture with the channels `wanted`, by an explicit rule or not at all.

    Channels that the picture has are chosen by name; grey becomes red, green and blue by repetition, and these
    become grey by BT.601; the same number of other names renames in order. Anything else raises Unreadable.
    """
    have = picture.channels
    if have == wanted:
        return picture
    if set(wanted) <= set(have):
        return replace(picture, values=picture.values[..., [have.index(name) for name in wanted]], channels=wanted)
    if wanted == RGB and have[0] == "grey":
        return replace(picture, values=picture.values[..., :1].repeat(3, axis=2), channels=wanted)
    if wanted == GREY and have[:3] == RGB:
        grey = picture.values[..., :3] @ LUMA
        if picture.values.dtype.kind != "f":
            grey = grey.round()
        return replace(picture, values=grey[..., None].astype(picture.values.dtype), channels=wanted)
    if len(wanted) == len(have):
        return replace(picture, channels=wanted)
    raise Unreadable(
        f"has {len(have)} channel(s) ({channel_words(have)}), not the {len(wanted)} asked for ({channel_words(wanted)})"
    )
