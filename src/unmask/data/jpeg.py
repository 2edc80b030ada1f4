"""Plain JPEGs (8 bits, grey or colour, upright, complete): most pictures of most sets, and the fast way to read them.

As a whole they have Pillow's values, bit for bit, in less time. A part of a large one is decoded at 1/2, 1/4 or 1/8,
which leaves out the fine waves of the cosine transform, as long as MARGIN pixels stay for each pixel of the view.
"""

import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image

from unmask.data.guard import guarded
from unmask.data.picture import GREY, RGB, Box, Picture, kind_words, map_channels

SCALES = (8, 4, 2)  # at which libjpeg decodes
MARGIN = 2  # measured against the exact way: 36.8 dB for the worst of 300 crops of photographs; with 1.5, 32.9
CHANNELS = {"L": GREY, "RGB": RGB}
UPRIGHT = 1  # EXIF's orientation
END = b"\xff\xd9"  # cannot occur inside a scan


@dataclass(frozen=True, eq=False)
class Jpeg:
    """A plain JPEG that is decoded once it is known which part a view shows.

    stored: the channels in the file. channels: those that a part gets, see `map_channels`.
    """

    data: bytes
    height: int
    width: int
    stored: tuple[str, ...]
    channels: tuple[str, ...]

    dtype = np.dtype(np.uint8)

    @property
    def kind(self) -> str:
        """Channels and type in words, as of the decoded picture."""
        return kind_words(self.channels, self.dtype)

    def part(self, box: Box, size: tuple[int, int]) -> Picture:
        """The box for a view of this size: its pixels, or, where a reduced scale will do, the resized view itself."""
        scale = reduction(box, size)
        if scale == 1:
            return map_channels(Picture(guarded(whole, self.data), self.stored).part(box, size), self.channels)
        values = guarded(lambda data: reduced(data, box, size, scale), self.data)
        return map_channels(Picture(values, self.stored), self.channels)


def plain_header(data: bytes) -> Image.Image | None:
    """Size and mode of a plain JPEG, without decoding it; None for everything else."""
    if data[:3] != b"\xff\xd8\xff":
        return None
    stream = io.BytesIO(data)
    header = Image.open(stream, formats=["JPEG"])
    if header.format != "JPEG" or header.mode not in CHANNELS:
        return None
    if "exif" in header.info and header.getexif().get(ExifTags.Base.Orientation, UPRIGHT) != UPRIGHT:
        return None
    scan = stream.tell()
    return header if data.rfind(END, scan) >= 0 else None  # Pillow refuses a truncated file, imagecodecs fills it up


def whole(data: bytes) -> UInt8[np.ndarray, "h w c"]:
    """All values of a plain JPEG."""
    import imagecodecs

    try:
        values = imagecodecs.jpeg8_decode(data)
    except imagecodecs.Jpeg8Error:  # a kind that only Pillow knows, or damage, for which Pillow has the words
        values = np.array(Image.open(io.BytesIO(data), formats=["JPEG"]))
    return values[..., None] if values.ndim == 2 else values


def reduction(box: Box, size: tuple[int, int]) -> int:
    """The scale at which a box may be decoded before it is resized: 8 for 1/8, 4, 2, or 1 for exactly."""
    most = min(box[2] / size[0], box[3] / size[1]) / MARGIN
    return next((scale for scale in SCALES if scale <= most), 1)


def reduced(data: bytes, box: Box, size: tuple[int, int], scale: int) -> UInt8[np.ndarray, "h w c"]:
    """The box, decoded at 1/scale and resized to `size` (bicubic with antialiasing)."""
    image = Image.open(io.BytesIO(data), formats=["JPEG"])
    image.draft(None, (image.width // scale, image.height // scale))
    top, left, height, width = (side / scale for side in box)
    part = image.resize(size[::-1], Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))
    values = np.array(part)
    return values[..., None] if values.ndim == 2 else values
