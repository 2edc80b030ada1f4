"""Video files, read with PyAV: which frames there are and when they are shown, and any of them on request."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, UInt8

from unmask.data.decode import LARGEST
from unmask.data.extras import needed
from unmask.data.guard import guarded
from unmask.data.picture import Unreadable

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".gif")
UNEVEN = 1.5  # a gap between frames of so many usual gaps makes the frame rate variable
WORTH_SEEKING = 16  # frames left out by going to the next key frame; fewer are decoded faster than sought
MACROBLOCK = 16  # pixels; the side of a cell of a motion field


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """The frames of a file in the order in which they are shown.

    times: seconds. stamps: times in the file's own unit, None where it gives none. keys: places where decoding can
    begin. turned: quarter turns that a player makes. declared: frames that the header promises, 0 for no word.
    """

    times: Float[np.ndarray, "n"]
    stamps: Int64[np.ndarray, "n"] | None
    keys: Int64[np.ndarray, "k"]
    height: int
    width: int
    codec: str
    turned: int = 0
    declared: int = 0

    @property
    def period(self) -> float:
        """Usual seconds from frame to frame, 0 for a single frame."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else 0.0

    @property
    def variable(self) -> bool:
        """Whether frames are shown for unequal times."""
        gaps = np.diff(self.times)
        return len(gaps) > 0 and bool(gaps.max() > UNEVEN * self.period or gaps.min() * UNEVEN < self.period)


class VideoFile:
    """One video, as a path or as its bytes; opened anew for every request. Raises Unreadable with the reason.

    index: what an earlier reading found, so that the file is not gone through again.
    """

    def __init__(self, place: Path | bytes, index: FrameIndex | None = None):
        self.place = place
        self.index = index or guarded(self._indexed, place)
        self.count, self.times = len(self.index.times), self.index.times
        self.height, self.width = self.index.height, self.index.width

    def frames(self, places: Sequence[int]) -> UInt8[np.ndarray, "t h w 3"]:
        """Red, green and blue of the frames at these places, in this order."""
        found = {place: self._turned(frame.to_ndarray(format="rgb24")) for place, frame in self._decoded(places)}
        return np.stack([found[place] for place in places])

    def motion(self, places: Sequence[int], cell: int = MACROBLOCK) -> Float[np.ndarray, "t h w 2"]:
        """How far every cell of a frame has moved (right, down; pixels) since the frame that it was coded from.

        As the encoder of the file chose it, which need not be the true motion nor from the frame just before; NaN where
        it coded none, as in key frames. Not turned.
        """
        found = {place: _field(frame, cell) for place, frame in self._decoded(places, motion=True)}
        return np.stack([found[place] for place in places])

    def _turned(self, picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        return np.rot90(picture, self.index.turned) if self.index.turned else picture

    def _decoded(self, places: Sequence[int], motion: bool = False) -> Iterator[tuple[int, Any]]:
        """The asked frames, each once, decoded from the nearest key frame before."""
        missing = sorted(set(places))
        if not missing or missing[0] < 0 or missing[-1] >= self.count:
            raise Unreadable(f"has {self.count} frames; number {missing[-1] if missing else 'none'} was asked for")
        for careful in (False, True):  # where seeking misses a frame, all are gone through
            try:
                for place, frame in self._pass(tuple(missing), careful, motion):
                    missing.remove(place)
                    yield place, frame
            except (Unreadable, MemoryError, ImportError):
                raise
            except Exception as error:
                raise Unreadable(f"cannot be decoded: {str(error) or repr(error)}") from None
            if not missing:
                return
        raise Unreadable(f"lacks frame {missing[0]} of {self.count}, which its index names")

    def _pass(self, missing: Sequence[int], careful: bool, motion: bool) -> Iterator[tuple[int, Any]]:
        wanted = set(missing)
        stamps = self.index.stamps
        with self._opened() as (container, stream):
            if motion:
                stream.codec_context.options = {"flags2": "+export_mvs"}
            if careful or stamps is None:
                numbered = enumerate(container.decode(stream)) if stamps is None else self._shown(container)
                yield from ((place, frame) for place, frame in numbered if place in wanted)
                return
            for key, group in self._groups(missing):
                if key:
                    container.seek(int(stamps[key]), stream=stream)
                for place, frame in self._shown(container):
                    if place in wanted:
                        yield place, frame
                    if place >= group[-1]:
                        break

    def _groups(self, places: Sequence[int]) -> list[tuple[int, list[int]]]:
        """The places that are decoded in one go, each with the key frame to begin at."""
        keys, groups = self.index.keys, list[tuple[int, list[int]]]()
        for place in places:
            key = int(keys[max(int(np.searchsorted(keys, place, side="right")) - 1, 0)])
            if groups and key <= groups[-1][1][-1] + WORTH_SEEKING:
                groups[-1][1].append(place)
            else:
                groups.append((key, [place]))
        return groups

    def _shown(self, container: Any) -> Iterator[tuple[int, Any]]:
        """The frames from where the file stands, with their places."""
        stamps = self.index.stamps
        assert stamps is not None
        for frame in container.decode(video=0):
            place = int(np.searchsorted(stamps, frame.pts))
            if place < len(stamps) and stamps[place] == frame.pts:
                yield place, frame

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        suffix = self.place.suffix if isinstance(self.place, Path) else "videos"
        av = needed("av", "PyAV", suffix, "video")
        place = str(self.place) if isinstance(self.place, Path) else io.BytesIO(self.place)
        with av.open(place) as container:
            if not container.streams.video:
                raise Unreadable("holds no moving pictures, only other streams")
            yield container, container.streams.video[0]

    def _indexed(self, place: Path | bytes) -> FrameIndex:
        with self._opened() as (container, stream):
            packets = [(p.pts, p.is_keyframe) for p in container.demux(stream) if p.size]
            unit, declared, codec = float(stream.time_base or 0), stream.frames, stream.codec_context.name
            if packets and unit and all(stamp is not None for stamp, _ in packets):
                stamps, first = np.unique(np.array([stamp for stamp, _ in packets], dtype=np.int64), return_index=True)
                keys = np.flatnonzero(np.array([key for _, key in packets])[first])
                times = (stamps - stamps[0]) * unit
            else:
                stamps, keys, times = None, np.zeros(1, np.int64), None
        with self._opened() as (container, stream):
            frames = container.decode(stream)
            one = next(frames, None)
            if one is None:
                raise Unreadable("holds no frame")
            if one.width * one.height > LARGEST:
                raise Unreadable(f"has frames of {one.height}x{one.width} pixels, more than the limit")
            if times is None:
                times = np.arange(1 + sum(1 for _ in frames)) / float(stream.average_rate or 25)
            turned = round((one.rotation or 0) / 90) % 4
            sides = (one.width, one.height) if turned % 2 else (one.height, one.width)
        return FrameIndex(times, stamps, keys, *sides, codec, turned, declared)


def _field(frame: Any, cell: int) -> Float[np.ndarray, "h w 2"]:
    """Motion vectors of one frame that point to earlier ones, on a grid of cells."""
    field = np.full((-(-frame.height // cell), -(-frame.width // cell), 2), np.nan)
    coded = frame.side_data.get("MOTION_VECTORS")
    if coded is None:
        return field
    vectors = coded.to_ndarray()
    vectors = vectors[vectors["source"] < 0]
    rows, columns = vectors["dst_y"] // cell, vectors["dst_x"] // cell
    inside = (rows >= 0) & (rows < field.shape[0]) & (columns >= 0) & (columns < field.shape[1])
    scale = np.maximum(vectors["motion_scale"], 1).astype(float)
    moved = np.stack([-vectors["motion_x"] / scale, -vectors["motion_y"] / scale], -1)[inside]
    total, count = np.zeros_like(field), np.zeros(field.shape[:2])
    np.add.at(total, (rows[inside], columns[inside]), moved)
    np.add.at(count, (rows[inside], columns[inside]), 1)
    return np.where(count[..., None] > 0, total / np.maximum(count, 1)[..., None], np.nan)
