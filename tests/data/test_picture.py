import numpy as np
import pytest

from unmask.data.picture import GREY, RGB, Picture, Unreadable, finite, map_channels

COLOURS = Picture(np.arange(24, dtype=np.uint16).reshape(2, 4, 3), RGB)


def test_channels_are_chosen_and_ordered_by_name():
    assert np.array_equal(map_channels(COLOURS, ("blue", "red")).values, COLOURS.values[..., [2, 0]])


def test_grey_is_repeated_and_colours_are_weighted():
    grey = Picture(COLOURS.values[..., :1], GREY)
    assert np.array_equal(map_channels(grey, RGB).values, COLOURS.values[..., :1].repeat(3, 2))
    weighted = map_channels(COLOURS, GREY).values
    assert weighted.dtype == np.uint16
    assert weighted[0, 0, 0] == round(0 * 0.299 + 1 * 0.587 + 2 * 0.114)


def test_other_names_rename_in_order_only_when_the_count_agrees():
    assert map_channels(COLOURS, ("dna", "actin", "tubulin")).channels == ("dna", "actin", "tubulin")
    with pytest.raises(Unreadable, match=r"has 3 channel\(s\) \(red green blue\), not the 2 asked for \(dna actin\)"):
        map_channels(COLOURS, ("dna", "actin"))


def test_an_alpha_channel_is_dropped_only_when_colours_are_asked_for():
    values = np.zeros((2, 2, 4), np.uint8)
    assert map_channels(Picture(values, (*RGB, "alpha")), RGB).values.shape == (2, 2, 3)


def test_values_that_are_no_numbers_are_refused():
    with pytest.raises(Unreadable, match="complex64"):
        finite(np.zeros((2, 2, 1), np.complex64), GREY)
    assert finite(np.ones((2, 2, 1), bool), GREY).values.dtype == np.uint8
