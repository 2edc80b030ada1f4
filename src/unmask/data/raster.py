"""Rasters as samples: windows of places, each at one date, or at all its dates together."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unmask.data.picture import Box, Picture, Unreadable, map_channels
from unmask.data.raster_files import Dated, FromArray, Scene, read_scenes
from unmask.data.source import Item, Listing
from unmask.data.values import ValueSource

WHOLE: Box = (0, 0, 0, 0)  # of a scene that cannot be used


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a place, with the dates at which it can be read. channels: what bands are brought into, if anything."""

    dates: tuple[Dated, ...]
    box: Box
    channels: tuple[str, ...] | None = None

    @property
    def moments(self) -> Float[Tensor, "t 3"]:
        """Year, month and hour of every date, 0 where it is not known."""
        return torch.tensor([date.reading.moment or (0, 0, 0) for date in self.dates], dtype=torch.float32)

    def read(self, date: int) -> Picture:
        """The bands at one date; raises Unreadable with the reason."""
        try:
            found = self.dates[date].reading(self.box)
        except Unreadable as error:
            raise Unreadable(f"{error.reason} ({self.dates[date].name})") from None
        return found if self.channels is None else map_channels(found, self.channels)


class RasterSource(ValueSource):
    """Windows of `tile` x `tile` pixels that lie side by side; what is left over at the right and bottom is not used.

    together: all dates of a place are one sample, of which views choose; else every date is one of its own. tile: no
    larger than the smallest place. channels: names of the bands to use.
    """

    noun = "scenes"

    def __init__(
        self,
        origin: str,
        scenes: Sequence[Scene],
        tile: int,
        together: bool = False,
        channels: Sequence[str] | None = None,
        refused=None,
    ):
        usable = [scene for scene in scenes if not scene.fault]
        if not usable:
            raise ValueError(
                f"none of {len(scenes)} places of {origin} can be used; {scenes[0].name} {scenes[0].fault}"
            )
        self.scenes, self.together = tuple(scenes), together
        self.channels = None if channels is None else tuple(channels)
        self.tile = min(tile, *(min(scene.size) for scene in usable))
        items: list[Item] = []
        self._places: list[tuple[int, int | None, Box]] = []  # place, date or None for all, box
        labels = {scene.label for scene in scenes if scene.label is not None}
        for number, scene in enumerate(scenes):
            for name, date, box in self._windows(scene):
                size = sum(one.bytes for one in scene.dates) if date is None else scene.dates[date].bytes
                items.append(Item(name, scene.label if len(labels) > 1 else None, scene.split, size))
                self._places.append((number, date, box))
        super().__init__(origin, Listing(items), refused=refused)
        self.used = sum(
            (scene.size[0] // self.tile) * (scene.size[1] // self.tile) * self.tile**2 for scene in usable
        ) / sum(scene.size[0] * scene.size[1] for scene in usable)

    def _windows(self, scene: Scene):
        """Name, date and box of every sample of a place."""
        if scene.fault:
            yield scene.name, None, WHOLE
            return
        height, width = scene.size
        tile, digits = self.tile, len(str(max(scene.size)))
        corners = [(r, c) for r in range(0, height - tile + 1, tile) for c in range(0, width - tile + 1, tile)]
        for date in (None,) if self.together else range(len(scene.dates)):
            name = scene.name if date is None or len(scene.dates) == 1 else scene.dates[date].name
            for row, column in corners:
                where = "" if len(corners) == 1 else f"[{row:0{digits}d},{column:0{digits}d}]"
                yield name + where, date, (row, column, tile, tile)

    def read(self, i: int) -> Window:
        """One window, not yet read; raises Unreadable with the reason."""
        number, date, box = self._places[i]
        scene = self.scenes[number]
        if scene.fault:
            raise Unreadable(scene.fault)
        return Window(scene.dates if date is None else (scene.dates[date],), box, self.channels)

    def fingerprint(self) -> str:
        """Of names and sizes of files, of values in memory, and of the windows."""
        digest = hashlib.sha256(f"{self.tile} {self.together}\n".encode())
        for scene in self.scenes:
            digest.update(f"{scene.name} {scene.label} {scene.fault}\n".encode())
            for date in scene.dates:
                digest.update(f"{date.name} {date.bytes} {date.reading.moment}\n".encode())
                if isinstance(date.reading, FromArray):
                    digest.update(np.ascontiguousarray(date.reading.values).tobytes())
        return digest.hexdigest()


def open_rasters(
    spec: str | Path, tile: int, together: bool = False, channels: Sequence[str] | None = None
) -> RasterSource:
    """The windows of the places that `spec` names; see `RasterSource`."""
    scenes, refused = read_scenes(spec)
    return RasterSource(str(spec), scenes, tile, together, channels, refused)
