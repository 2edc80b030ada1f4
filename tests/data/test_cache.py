import numpy as np
import pytest

from unmask.data.cache import PictureCache, decoded_bytes
from unmask.data.card import inspect
from unmask.data.jpeg import Jpeg
from unmask.data.picture import Picture
from unmask.data.sources import open_source

BYTES = 80 * 120 * 3


@pytest.fixture
def source(make, tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.jpg").write_bytes(make.encode(make.noise(i, (80, 120, 3)), "JPEG"))
    return open_source(tmp_path)


def test_pictures_are_kept_until_the_memory_is_full(source):
    cache = PictureCache(2 * BYTES)
    first = [cache.read(source, i) for i in range(3)]
    again = [cache.read(source, i) for i in range(3)]
    assert [a is b for a, b in zip(first, again, strict=True)] == [True, True, False]
    assert cache.used == 2 * BYTES


def test_a_large_jpeg_is_not_kept_where_views_need_less_of_it(source):
    cache = PictureCache(10 * BYTES, (20, 20))
    assert isinstance(cache.read(source, 0), Jpeg)
    assert cache.used == 0


def test_a_jpeg_that_every_view_needs_in_full_is_kept(source):
    cache = PictureCache(10 * BYTES, (60, 60))
    found = cache.read(source, 0)
    assert isinstance(found, Picture)
    assert np.array_equal(found.values, source.read(0).values)
    assert cache.read(source, 0) is found


def test_the_need_of_a_set_is_told_from_its_card(source):
    assert decoded_bytes(inspect(source), len(source)) == 3 * BYTES
