import io
import struct

import numpy as np
import pytest
import tifffile

from unmask.data.decode import Decoder
from unmask.data.picture import RGB, Unreadable

RANDOM = np.random.default_rng(0)


def tiff(values: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **{"photometric": "minisblack", **options})
    return stream.getvalue()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "float16", "float32", "float64"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_every_type_keeps_its_values(dtype, byteorder):
    values = RANDOM.integers(0, 100, (9, 7)).astype(dtype)
    picture = Decoder()(tiff(values.astype(values.dtype.newbyteorder(byteorder)), byteorder=byteorder))
    assert picture.values.dtype == np.dtype(dtype)
    assert np.array_equal(picture.values[..., 0], values)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd"])
def test_pages_are_channels(compression):
    pages = RANDOM.integers(0, 65536, (13, 20, 30), dtype=np.uint16)
    picture = Decoder()(tiff(pages, compression=compression))
    assert picture.channels == tuple(f"channel_{i}" for i in range(13))
    assert np.array_equal(picture.values, np.moveaxis(pages, 0, 2))


def test_colours_are_read_in_every_arrangement():
    values = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    planes = np.moveaxis(values, 2, 0)
    for data in (
        tiff(values, photometric="rgb"),
        tiff(values, photometric="rgb", tile=(16, 16), compression="lzw"),
        tiff(planes, photometric="rgb", planarconfig="separate"),
        tiff(values, photometric="rgb", compression="zlib", predictor=True),
        tiff(values, photometric="rgb", bigtiff=True),
    ):
        picture = Decoder()(data)
        assert picture.channels == RGB
        assert np.array_equal(picture.values, values)


def test_names_in_the_file_become_channel_names():
    values = RANDOM.integers(0, 256, (2, 20, 30), dtype=np.uint8)
    imagej = tiff(values, imagej=True, metadata={"axes": "CYX", "Labels": ["dna", "actin"]})
    assert Decoder()(imagej).channels == ("dna", "actin")
    ome = tiff(values, ome=True, metadata={"axes": "CYX", "Channel": {"Name": ["dna", "actin"]}})
    assert Decoder()(ome).channels == ("dna", "actin")


@pytest.mark.parametrize("pages", [1, 4])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_a_truncated_file_is_refused_or_complete(pages, compression):
    values = RANDOM.integers(0, 256, (pages, 32, 32), dtype=np.uint8)
    data = tiff(values, compression=compression, rowsperstrip=8, metadata=None)
    for end in range(8, len(data), max(1, len(data) // 40)):
        try:
            picture = Decoder()(data[:end])
        except Unreadable:
            continue
        assert np.array_equal(picture.values, np.moveaxis(values, 0, 2))


def test_pages_in_a_circle_and_endless_pages_are_refused():
    data = bytearray(tiff(np.zeros((4, 4), np.uint8), metadata=None))
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + count * 12, first)
    with pytest.raises(Unreadable, match="circle"):
        Decoder()(bytes(data))
    with pytest.raises(Unreadable, match="more than 1024 pages"):
        Decoder()(tiff(np.zeros((1025, 2, 2), np.uint8)))


def test_a_bomb_is_refused_before_decoding():
    data = bytearray(tiff(np.zeros((4, 4), np.uint8), metadata=None))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        for tag in ("ImageWidth", "ImageLength"):
            struct.pack_into("<I", data, file.pages[0].tags[tag].valueoffset, 60_000)
    with pytest.raises(Unreadable, match="60000x60000"):
        Decoder()(bytes(data))


def test_pages_of_different_size_are_refused_with_both():
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as file:
        file.write(np.zeros((4, 4), np.uint8))
        file.write(np.zeros((4, 5), np.uint8))
    with pytest.raises(Unreadable, match="4x4 uint8, 4x5 uint8"):
        Decoder()(stream.getvalue())


def test_nan_and_no_data_are_missing_and_zero():
    values = RANDOM.random((6, 5), dtype=np.float32)
    values[1, 2], values[3, 3] = np.nan, np.inf
    picture = Decoder()(tiff(values))
    assert np.argwhere(picture.missing).tolist() == [[1, 2], [3, 3]]
    assert picture.values[1, 2] == picture.values[3, 3] == 0
    height = np.full((6, 5), 7, dtype=np.int16)
    height[0, 4] = -9999
    picture = Decoder()(tiff(height, extratags=[(42113, "s", 0, "-9999", True)]))
    assert np.argwhere(picture.missing).tolist() == [[0, 4]]


def test_a_band_without_a_valid_pixel_is_refused_by_name():
    values = RANDOM.random((3, 6, 5), dtype=np.float32)
    values[1] = np.nan
    with pytest.raises(Unreadable, match="no valid pixel in channel_1"):
        Decoder()(tiff(values))


def test_pages_can_be_pictures_of_their_own(make, tmp_path):
    from unmask.data.sources import open_source

    pages = RANDOM.integers(0, 256, (3, 8, 8), dtype=np.uint8)
    (tmp_path / "stack.tif").write_bytes(tiff(pages))
    (tmp_path / "flat.png").write_bytes(make.encode(pages[0]))
    (tmp_path / "broken.tif").write_bytes(tiff(pages)[:100])
    source = open_source(tmp_path, pages="pictures")
    assert [item.name for item in source.items] == [
        "broken.tif#0",
        "flat.png#0",
        "stack.tif#0",
        "stack.tif#1",
        "stack.tif#2",
    ]
    assert np.array_equal(source.read(4).values[..., 0], pages[2])
    with pytest.raises(Unreadable):
        source.read(0)
