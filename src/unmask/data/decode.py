"""Bytes of a picture file to a Picture: known formats only, size checked before decoding, nothing clipped."""

import io
import re
import zlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Shaped
from PIL import Image, ImageOps

from unmask.data import jpeg
from unmask.data.guard import guarded
from unmask.data.picture import GREY, RGB, Picture, Unreadable, finite, map_channels
from unmask.data.tiff import decode_tiff

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".ppm", ".pgm", ".pbm", ".tif", ".tiff")
# what a listing takes for a picture; the format itself is told by its content
LARGEST = 89_478_485  # pixels; Pillow's own threshold for a decompression bomb
ANIMATED = ("GIF", "PNG", "WEBP")
CHANNELS = {
    "L": GREY,
    "I;16": GREY,
    "I;16B": GREY,
    "I": GREY,
    "F": GREY,
    "LA": (*GREY, "alpha"),
    "RGB": RGB,
    "RGBA": (*RGB, "alpha"),
    "CMYK": ("cyan", "magenta", "yellow", "black"),
}
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Decoder:
    """Turns the bytes of one file into a Picture, or raises Unreadable.

    channels: the channels every picture is mapped to (see `map_channels`), or None to keep its own.
    largest: most pixels that a picture may have; pages of a TIFF count separately.
    ignore: values of a segmentation mask that belong to no class.
    """

    channels: tuple[str, ...] | None = None
    largest: int = LARGEST
    ignore: tuple[int, ...] = (255,)

    def __call__(self, data: bytes) -> Picture:
        return self.mapped(guarded(self._decode, data))

    def begin(self, data: bytes, size: tuple[int, int]) -> Picture | jpeg.Jpeg:
        """The picture for views of this size; a JPEG that is much larger is left encoded until they are drawn."""
        header = guarded(self._plain_header, data)
        if header is None:
            return self(data)
        stored = CHANNELS[header.mode]
        if jpeg.reduction((0, 0, header.height, header.width), size) == 1:
            return self.mapped(Picture(guarded(jpeg.whole, data), stored))
        pixel = self.mapped(Picture(np.zeros((1, 1, len(stored)), np.uint8), stored))
        return jpeg.Jpeg(data, header.height, header.width, stored, pixel.channels)

    def page(self, data: bytes, number: int) -> Picture:
        """One page of a TIFF file."""
        return self.mapped(guarded(lambda found: decode_tiff(found, self.largest, number), data))

    def mapped(self, picture: Picture) -> Picture:
        """The picture with the channels of this decoder."""
        return picture if self.channels is None else map_channels(picture, self.channels)

    def mask(self, data: bytes) -> Int64[np.ndarray, "h w"]:
        """Class number per pixel, -1 where ignored; the colours of a palette do not matter, its numbers do."""
        values = guarded(self._numbers, data)
        if values.ndim == 3 and values.shape[2] == 1:
            values = values[..., 0]
        if values.ndim != 2 or values.dtype.kind not in "bui":
            raise Unreadable(
                f"mask has shape {values.shape} and type {values.dtype}; one class number per pixel is needed"
            )
        values = values.astype(np.int64)
        return np.where(np.isin(values, self.ignore), -1, values)

    def _decode(self, data: bytes) -> Picture:
        kind = picture_format(data)
        if kind == "TIFF":
            return decode_tiff(data, self.largest)
        if kind == "PNG" and check_png(data, self.largest) == 16:
            return _decode_png16(data)
        header = self._plain_header(data)
        if header is not None:
            return Picture(jpeg.whole(data), CHANNELS[header.mode])
        image = self._open(data, kind)
        if self.channels == RGB and image.mode == "CMYK":
            image = image.convert("RGB")
        return finite(_array(image), CHANNELS[image.mode])

    def _plain_header(self, data: bytes) -> Image.Image | None:
        header = jpeg.plain_header(data)
        if header is not None:
            check_size(header.height, header.width, self.largest)
        return header

    def _numbers(self, data: bytes) -> Shaped[np.ndarray, "..."]:
        kind = picture_format(data)
        if kind == "TIFF" or (kind == "PNG" and check_png(data, self.largest) == 16):
            return self._decode(data).values
        image = self._open(data, kind, palette=True)
        return np.asarray(image)

    def _open(self, data: bytes, kind: str, palette: bool = False) -> Image.Image:
        """The loaded picture, upright, in one of the modes of CHANNELS."""
        image = Image.open(io.BytesIO(data), formats=[kind])
        check_size(*image.size[::-1], self.largest)
        if kind in ANIMATED and getattr(image, "is_animated", False):
            raise Unreadable("is animated; save its frames as pictures")
        if kind == "PPM" and image.mode == "RGB" and _ppm_maximum(data) > 255:
            raise Unreadable("has more than 8 bits per colour in a PPM file; save it as PNG or TIFF")
        image.load()
        if "exif" in image.info:
            ImageOps.exif_transpose(image, in_place=True)
        if palette and image.mode in ("P", "1"):
            return image
        if image.mode in ("P", "PA"):
            return image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
        if image.mode == "1":
            return image.convert("L")
        if image.mode == "RGBX" or image.mode == "YCbCr":
            return image.convert("RGB")
        if image.mode not in CHANNELS:
            raise Unreadable(f"has the colour mode {image.mode}, which is not supported; save it as RGB")
        return image


def picture_format(data: bytes) -> str:
    """The format by its first bytes, whatever the file is called."""
    if not data:
        raise Unreadable("is empty (0 bytes)")
    head = data[:16]
    if head[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if head[:8] == PNG:
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if head[:2] == b"BM":
        return "BMP"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "PPM"
    raise Unreadable(f"is not a picture of a known format (it begins with {head[:12]!r})")


def check_size(height: int, width: int, largest: int) -> None:
    """Raises Unreadable before anything large is decoded."""
    if height < 1 or width < 1:
        raise Unreadable(f"is empty ({height}x{width} pixels)")
    if height * width > largest:
        raise Unreadable(f"has {height}x{width} pixels, more than the limit of {largest:,}")


def check_png(data: bytes, largest: int) -> int:
    """Bits per value of a PNG whose chunks are all there and undamaged."""
    if data[12:16] != b"IHDR" or len(data) < 33:
        raise Unreadable("is a PNG without a header")
    check_size(int.from_bytes(data[20:24]), int.from_bytes(data[16:20]), largest)
    view = memoryview(data)
    place = len(PNG)
    while place + 12 <= len(data):
        size = int.from_bytes(view[place : place + 4])
        end = place + 8 + size
        if end + 4 > len(data):
            break
        name = bytes(view[place + 4 : place + 8])
        if zlib.crc32(view[place + 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise Unreadable(f"is damaged: the checksum of a PNG chunk ({name!r}) is wrong")
        if name == b"IEND":
            return data[24]
        place = end + 4
    raise Unreadable("is truncated: the PNG ends before its last chunk")


def _decode_png16(data: bytes) -> Picture:
    """Pillow keeps 8 of the 16 bits of a colour PNG; imagecodecs keeps all."""
    import imagecodecs

    values = imagecodecs.png_decode(data)
    values = values[..., None] if values.ndim == 2 else values
    return finite(values, {1: GREY, 2: (*GREY, "alpha"), 3: RGB, 4: (*RGB, "alpha")}[values.shape[2]])


def _ppm_maximum(data: bytes) -> int:
    numbers = re.sub(rb"#[^\n]*", b"", data[2:4096]).split(maxsplit=3)
    return int(numbers[2])


def _array(image: Image.Image) -> Shaped[np.ndarray, "h w c"]:
    values = np.array(image, dtype=np.uint16 if image.format == "PPM" and image.mode == "I" else None)
    return values[..., None] if values.ndim == 2 else values
