"""Clips of a window that moves over photographs; the direction of the motion is the label."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64, UInt8

from unmask.data.order import number
from unmask.data.picture import RGB, Picture, Unreadable
from unmask.data.source import Item, Listing, Source
from unmask.data.sources import open_source

FRAMES = 16
WINDOW = 0.5  # side of the window, of the photograph's shorter one
SLOWEST = 1 / 3  # of the room that the window has, covered in one clip at least
DIRECTIONS = {
    "right": (0, 1),
    "down right": (1, 1),
    "down": (1, 0),
    "down left": (1, -1),
    "left": (0, -1),
    "up left": (-1, -1),
    "up": (-1, 0),
    "up right": (-1, 1),
}


class Pan:
    """A square window on its way over a photograph. tops, lefts: of its upper left corner, frame by frame."""

    times: Float[np.ndarray, "n"] | None = None

    def __init__(
        self, photo: UInt8[np.ndarray, "h w 3"], tops: Int64[np.ndarray, "t"], lefts: Int64[np.ndarray, "t"], side: int
    ):
        self.photo, self.tops, self.lefts, self.side = photo, tops, lefts, side
        self.count, self.height, self.width = len(tops), side, side

    def frames(self, places: Sequence[int]) -> UInt8[np.ndarray, "t h w 3"]:
        return np.stack([self._window(int(self.tops[place]), int(self.lefts[place])) for place in places])

    def _window(self, top: int, left: int) -> UInt8[np.ndarray, "h w 3"]:
        return self.photo[top : top + self.side, left : left + self.side]


class MovingSource(Source):
    """One clip for every photograph, in the photograph's part of the data. Direction, speed and start follow from its
    name, so that every reading gives the same clip."""

    noun = "videos"

    def __init__(self, origin: str, photos: Source):
        names = list(DIRECTIONS)
        items = [
            Item(item.name, names[number("motion", item.name) % len(names)], item.split, item.size)
            for item in photos.items
        ]
        super().__init__(origin, Listing(items), photos.decoder, tuple(names), photos.refused)
        self.photos = photos

    def read(self, i: int) -> Pan:
        item, picture = self.items[i], self.photos.read(i)
        if picture.dtype != np.uint8:
            raise Unreadable(f"holds values of type {picture.dtype}; frames have 8 bits")
        return pan(picture, DIRECTIONS[item.label or ""], item.name)


def pan(picture: Picture, direction: tuple[int, int], name: str) -> Pan:
    """The way of the window that belongs to the name."""
    side = int(min(picture.height, picture.width) * WINDOW)
    room = min(picture.height, picture.width) - side
    if side < 1 or room < FRAMES // 2:
        raise Unreadable(f"has {picture.height}x{picture.width} pixels, too few for a window to move over")
    moved = (SLOWEST + (1 - SLOWEST) * _share("speed", name)) * room * np.linspace(0, 1, FRAMES)
    ways = []
    for axis, (length, sign) in enumerate(zip((picture.height, picture.width), direction, strict=True)):
        free = length - side - abs(sign) * moved[-1]
        start = free * _share(f"start {axis}", name) + (moved[-1] if sign < 0 else 0)
        ways.append(np.rint(start + sign * moved).astype(np.int64))
    return Pan(picture.values, ways[0], ways[1], side)


def _share(word: str, name: str) -> float:
    """A number in [0, 1) that depends on the words alone."""
    return number(word, name) / (1 << 63)


def open_moving(spec: str) -> MovingSource:
    """A moving window over every picture that follows "moving:"."""
    return MovingSource(spec, open_source(spec.removeprefix("moving:"), RGB))
