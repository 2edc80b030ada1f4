import io
import resource
import struct
import time
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from unmask.data.decode import Decoder
from unmask.data.picture import GREY, RGB, Unreadable


def reason(data: bytes, decoder: Decoder | None = None) -> str:
    with pytest.raises(Unreadable) as caught:
        (decoder or Decoder())(data)
    return caught.value.reason


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "WEBP"])
def test_lossless_files_give_their_values(make, kind):
    values = make.noise()
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = Decoder()(make.encode(values, kind, **options))
    assert picture.channels == RGB
    assert np.array_equal(picture.values, values)


def test_a_jpeg_decodes_as_pillow_decodes_it(make):
    data = make.encode(make.noise(), "JPEG")
    assert np.array_equal(Decoder()(data).values, np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_truncated_file_is_never_a_picture(make, kind, share):
    data = make.encode(make.noise(shape=(64, 64, 3)), kind)
    assert reason(data[: int(len(data) * share)])


def test_damage_is_told_in_plain_words_that_do_not_change(make):
    data = make.encode(make.noise())
    broken = bytearray(data)
    broken[60] ^= 1
    assert "checksum" in reason(bytes(broken))
    assert "truncated" in reason(data[:-20])
    assert "0 bytes" in reason(b"")
    assert "<html>" in reason(b"<html><body>not found</body></html>")
    gif = make.encode(make.noise(), "GIF")[:200]
    assert reason(gif) == reason(gif)
    assert "object at" not in reason(gif)


def test_animations_are_refused_without_decoding_their_frames(make):
    frames = [Image.fromarray(make.noise(i)) for i in range(3)]
    for kind in ("GIF", "PNG", "WEBP"):
        stream = io.BytesIO()
        frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
        assert "animated" in reason(stream.getvalue())


def test_a_gif_with_many_frames_is_refused_at_once(make):
    one = make.encode(make.noise(shape=(4, 4, 3)), "GIF")
    frames = one[: one.index(b"\x2c")] + one[one.index(b"\x2c") : -1] * 100_000 + b"\x3b"
    begin = time.process_time()
    assert "animated" in reason(frames)
    assert time.process_time() - begin < 0.5


def test_the_format_is_told_by_content_not_by_name(make, tmp_path):
    from unmask.data.sources import open_source

    (tmp_path / "really_a_png.jpg").write_bytes(make.encode(make.noise()))
    assert np.array_equal(open_source(tmp_path).read(0).values, make.noise())


def test_one_bit_and_palette_pictures_become_plain_colours(make):
    bits = Decoder()(make.encode(make.noise(), mode="1"))
    assert bits.channels == GREY
    assert set(np.unique(bits.values)) <= {0, 255}
    palette = make.encode(make.noise(), mode="P")
    expected = np.asarray(Image.open(io.BytesIO(palette)).convert("RGB"))
    assert np.array_equal(Decoder()(palette).values, expected)


def test_cmyk_has_four_channels_unless_colours_are_asked_for(make):
    data = make.encode(make.noise(), "JPEG", mode="CMYK")
    assert len(Decoder()(data).channels) == 4
    assert Decoder(RGB)(data).channels == RGB


def test_phone_pictures_are_upright(make):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    data = make.encode(make.noise(), "JPEG", exif=exif)
    assert Decoder()(data).values.shape == (16, 12, 3)


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3), (40, 50, 4)])
def test_sixteen_bit_png_keeps_every_bit(shape):
    ramp = np.linspace(0, 65535, int(np.prod(shape))).round().astype(np.uint16).reshape(shape)
    picture = Decoder()(imagecodecs.png_encode(ramp))
    assert picture.values.dtype == np.uint16
    assert np.array_equal(picture.values.reshape(shape), ramp)


def test_sixteen_bit_pgm_keeps_every_bit_and_colour_ppm_is_refused():
    values = np.array([[0, 1], [256, 65535]], dtype=">u2")
    picture = Decoder()(b"P5 2 2 65535\n" + values.tobytes())
    assert picture.values[..., 0].tolist() == values.tolist()
    assert "8 bits" in reason(b"P6 2 2 65535\n" + bytes(24))


def test_a_bomb_is_refused_by_its_header():
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1_000_000))) + chunk(b"IEND", b"")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "30000x30000" in reason(bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_the_limit_of_pixels_can_be_changed(make):
    data = make.encode(make.noise())
    assert "limit of 100" in reason(data, Decoder(largest=100))


def test_a_format_outside_the_list_is_not_opened(make):
    assert "known format" in reason(make.encode(make.noise(), "TGA"))
    assert "known format" in reason(make.encode(make.noise(), "EPS"))


def test_masks_give_the_numbers_of_a_palette_and_ignored_classes(make):
    numbers = np.array([[0, 1, 2], [255, 1, 0]], dtype=np.uint8)
    image = Image.fromarray(numbers, mode="P")
    image.putpalette(list(range(255, -1, -1)) * 3)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    assert Decoder().mask(stream.getvalue()).tolist() == [[0, 1, 2], [-1, 1, 0]]
    assert Decoder(ignore=(2,)).mask(make.encode(numbers)).tolist() == [[0, 1, -1], [255, 1, 0]]
    with pytest.raises(Unreadable, match="one class number per pixel"):
        Decoder().mask(make.encode(make.noise()))
