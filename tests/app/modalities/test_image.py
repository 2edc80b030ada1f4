"""What training takes from pictures: their sizes, channels and the range of their pixels."""

import dataclasses

import pytest

from unmask.app.catalogue import builder
from unmask.app.modalities.image import default_sizes, settings_of_data
from unmask.core.assembly import arguments
from unmask.data.card import inspect
from unmask.data.sources import open_source


@pytest.mark.parametrize(
    ("side", "settings", "expected"),
    [
        (500, {}, (224, 16)),
        (224, {}, (224, 16)),
        (96, {}, (96, 8)),
        (32, {}, (32, 4)),
        (8, {}, (16, 2)),
        (96, {"image_size": 192}, (192, 16)),
        (96, {"patch_size": 4}, (96, 4)),
        (500, {"image_size": (64, 96)}, ((64, 96), 8)),
    ],
)
def test_sizes_follow_the_pictures_where_nothing_is_said(pictures, side, settings, expected):
    card = dataclasses.replace(inspect(open_source(pictures)), sizes=((side,) * 2,) * 3)
    found = default_sizes(card, settings)
    assert (found["image_size"], found["patch_size"]) == expected


def test_a_default_patch_divides_the_picture(pictures):
    for side in range(16, 300):
        card = dataclasses.replace(inspect(open_source(pictures), limit=2), sizes=((side,) * 2,) * 3)
        found = default_sizes(card, {})
        assert found["image_size"] % found["patch_size"] == 0


@pytest.mark.parametrize(
    ("method", "side", "expected"), [("iwae", 8, 8), ("iwae", 96, 28), ("wae", 32, 32), ("wae", 96, 64)]
)
def test_without_patches_pictures_are_as_large_as_they_are_or_as_the_method_is_made_for(
    pictures, method, side, expected
):
    card = dataclasses.replace(inspect(open_source(pictures)), sizes=((side,) * 2,) * 3)
    found = settings_of_data(card, arguments(builder(method)), {})
    assert found["image_size"] == expected
    assert found["channels"] == 3
    assert set(found) == {"image_size", "channels", "pixels_darkest", "pixels_brightest"}
    assert set(settings_of_data(card, arguments(builder("mae")), {})) == {"image_size", "patch_size", "channels"}


def test_the_range_of_the_pixels_is_that_of_the_data_also_for_a_constant_channel(pictures):
    card = dataclasses.replace(
        inspect(open_source(pictures)),
        minimum=(0.0, 5.0, 7.0),
        maximum=(10.0, 9.0, 7.0),
        mean=(4.0, 6.0, 7.0),
        std=(2.0, 0.5, 0.0),
    )
    found = settings_of_data(card, arguments(builder("wae")), {})
    assert found["pixels_darkest"] == (-2.0, -2.0, 0.0)
    assert found["pixels_brightest"] == (3.0, 6.0, 1.0)
