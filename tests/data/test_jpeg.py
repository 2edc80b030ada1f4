import io
import itertools

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from unmask.data.decode import Decoder
from unmask.data.jpeg import MARGIN, Jpeg, plain_header, reduced, reduction, whole
from unmask.data.picture import GREY, RGB, Picture, Unreadable
from unmask.data.views import random_box


@pytest.fixture(scope="module", params=["china.jpg", "flower.jpg"])
def photo(request) -> np.ndarray:
    return load_sample_image(request.param)


def decibels(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal to noise ratio of 8-bit values."""
    return float(10 * np.log10(255**2 / np.square(one.astype(float) - other).mean()))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_plain_jpeg_has_the_values_of_pillow_bit_for_bit(make, mode, subsampling, progressive):
    for shape in ((1, 1, 3), (17, 33, 3), (64, 50, 3)):
        data = make.encode(make.noise(shape=shape), "JPEG", mode, subsampling=subsampling, progressive=progressive)
        assert plain_header(data) is not None
        assert np.array_equal(whole(data).squeeze(), np.asarray(Image.open(io.BytesIO(data))).squeeze())


def test_colours_stored_as_red_green_and_blue_have_the_values_of_pillow(make):
    data = make.encode(make.noise(), "JPEG", keep_rgb=True)
    assert np.array_equal(whole(data), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_reduced_crops_of_photographs_stay_within_35_decibels_of_exact_ones(make, photo, scale, subsampling):
    data = make.encode(photo, "JPEG", quality=90, subsampling=subsampling)
    random = np.random.default_rng(scale)
    for _ in range(5):
        height, width = random.integers(photo.shape[0] // 2, photo.shape[0], 2)
        top, left = (
            int(random.integers(0, most - side)) for most, side in zip(photo.shape, (height, width), strict=False)
        )
        size = (int(height / scale / MARGIN), int(width / scale / MARGIN))
        box = (top, left, int(height), int(width))
        exact = Image.fromarray(whole(data)[top : top + height, left : left + width])
        exact = np.asarray(exact.resize(size[::-1], Image.Resampling.BICUBIC))
        assert reduction(box, size) == scale
        assert decibels(exact, reduced(data, box, size, scale)) > 35


def test_a_crop_is_reduced_only_as_far_as_two_pixels_stay_for_one():
    assert [reduction((0, 0, side, 2000), (100, 100)) for side in (399, 400, 799, 800, 1599, 1600, 9999)] == [
        *(1, 2, 2, 4, 4, 8, 8)
    ]
    assert reduction((0, 0, 2000, 300), (100, 100)) == 1


def test_only_jpegs_that_may_be_reduced_stay_encoded(make):
    data = make.encode(make.noise(shape=(80, 120, 3)), "JPEG")
    assert isinstance(Decoder().begin(data, (20, 20)), Jpeg)
    assert isinstance(Decoder().begin(data, (21, 20)), Picture)
    assert isinstance(Decoder().begin(make.encode(make.noise(shape=(80, 120, 3))), (8, 8)), Picture)


def test_turned_and_cmyk_jpegs_are_read_whole_as_before(make):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = make.encode(make.noise(shape=(80, 120, 3)), "JPEG", exif=exif)
    found = Decoder().begin(turned, (8, 8))
    expected = np.rot90(np.asarray(Image.open(io.BytesIO(turned))), -1)
    assert np.array_equal(found.values, expected)
    assert isinstance(Decoder().begin(make.encode(make.noise(shape=(80, 120, 3)), "JPEG", "CMYK"), (8, 8)), Picture)


def test_an_exif_header_of_an_upright_picture_changes_nothing(make):
    exif = Image.Exif()
    exif[0x0112] = 1
    assert isinstance(Decoder().begin(make.encode(make.noise(shape=(80, 120, 3)), "JPEG", exif=exif), (8, 8)), Jpeg)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("side", [8, 60])
def test_a_truncated_jpeg_is_refused_at_every_scale(make, side, share, progressive):
    data = make.encode(make.noise(shape=(240, 240, 3)), "JPEG", progressive=progressive)
    with pytest.raises(Unreadable):
        Decoder().begin(data[: int(len(data) * share)], (side, side)).part((0, 0, 240, 240), (side, side))


def test_the_end_of_a_thumbnail_is_not_taken_for_that_of_the_picture(make):
    thumbnail = make.encode(make.noise(), "JPEG")
    data = make.encode(make.noise(shape=(240, 240, 3)), "JPEG", comment=thumbnail)
    assert plain_header(data) is not None
    assert plain_header(data[:-100]) is None
    with pytest.raises(Unreadable):
        Decoder()(data[:-100])


def test_damage_that_the_header_does_not_show_is_unreadable(make):
    data = make.encode(make.noise(shape=(80, 80, 3)), "JPEG")
    start = data.index(b"\xff\xc4")
    broken = data[:start] + data[start : start + 20].replace(b"\0", b"\xfe") + data[start + 20 :]
    for read in (Decoder(), lambda found: Decoder().begin(found, (8, 8)).part((0, 0, 80, 80), (8, 8))):
        with pytest.raises(Unreadable, match="cannot be decoded"):
            read(broken)


@pytest.mark.parametrize(("mode", "channels"), itertools.product(["RGB", "L"], [None, RGB, GREY]))
def test_channels_are_mapped_at_every_scale(make, photo, mode, channels):
    data = make.encode(photo, "JPEG", mode)
    found = Decoder(channels).begin(data, (20, 20))
    expected = Decoder(channels)(data)
    assert (found.channels, found.kind) == (expected.channels, expected.kind)
    for size in ((20, 20), (300, 300)):
        part = found.part((0, 0, *photo.shape[:2]), size)
        assert part.kind == expected.kind
        assert part.values.shape[:2] == (size if size == (20, 20) else photo.shape[:2])


def test_a_part_that_cannot_be_reduced_has_the_values_of_the_whole(make, photo):
    import torch

    data = make.encode(photo, "JPEG")
    found = Decoder().begin(data, (20, 20))
    box = random_box(*photo.shape[:2], (0.2, 1.0), 1.0, torch.rand(40, generator=torch.Generator().manual_seed(0)))
    assert np.array_equal(found.part(box, (200, 200)).values, Decoder()(data).part(box, (200, 200)).values)


def test_the_limit_of_pixels_holds_before_decoding(make):
    with pytest.raises(Unreadable, match="limit of 100"):
        Decoder(largest=100).begin(make.encode(make.noise(), "JPEG"), (2, 2))
