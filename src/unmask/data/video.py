"""Videos as samples: files, and strips of frames below each other in one picture; a clip is read when it is drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from unmask.data.decode import Decoder
from unmask.data.files import FileSource
from unmask.data.picture import RGB, Picture, Unreadable
from unmask.data.source import Source
from unmask.data.stored import open_stored
from unmask.data.video_files import SUFFIXES, FrameIndex, VideoFile

STRIPS = (".jpg", ".jpeg", ".png", ".webp")  # pictures that hold the frames of a video


@runtime_checkable
class Video(Protocol):
    """One sample. times: when every frame is shown, in seconds, None where only their order is known."""

    count: int
    height: int
    width: int

    @property
    def times(self) -> Float[np.ndarray, "n"] | None: ...

    def frames(self, places: Sequence[int]) -> UInt8[np.ndarray, "t h w 3"]:
        """Red, green and blue of the frames at these places, in this order."""


class Strip:
    """Square frames below each other in one picture, as high as the picture is wide."""

    times: Float[np.ndarray, "n"] | None = None

    def __init__(self, picture: Picture):
        side = picture.width
        if picture.height % side or picture.height < 2 * side:
            raise Unreadable(
                f"has {picture.height}x{side} pixels and is no strip of frames: square frames stand below each other"
            )
        if picture.dtype != np.uint8:
            raise Unreadable(f"holds values of type {picture.dtype}; frames have 8 bits")
        self.values = picture.values.reshape(-1, side, side, 3)
        self.count, self.height, self.width = len(self.values), side, side

    def frames(self, places: Sequence[int]) -> UInt8[np.ndarray, "t h w 3"]:
        return self.values[list(places)]


class VideoSource(Source):
    """The videos of a listing. What is found out of a file is remembered, so that it is gone through once."""

    noun = "videos"

    def __init__(self, files: Source):
        super().__init__(files.origin, files.items, Decoder(RGB), files.classes, files.refused)
        self.files = files
        self._indices: dict[int, FrameIndex] = {}

    def read(self, i: int) -> Video:
        """The video, of which no frame is read before it is asked for; raises Unreadable with the reason."""
        if Path(self.items[i].name).suffix.lower() in STRIPS:
            return Strip(self.decoder(self.files.data(i)))
        place = self.files.path(i) if isinstance(self.files, FileSource) else self.files.data(i)
        found = VideoFile(place, self._indices.get(i))
        self._indices[i] = found.index
        return found


def open_video(spec: str | Path) -> Source:
    """The videos that `spec` names: a file, folder, glob, list or .tar of videos or strips of frames.

    "PLACE::PART" takes those with a folder PART on their path; "moving:PLACE" moves a window over pictures.
    """
    text = str(spec)
    if text.startswith("moving:"):
        from unmask.data.moving import open_moving

        return open_moving(text)
    return VideoSource(open_stored(spec, (*SUFFIXES, *STRIPS), "video"))
