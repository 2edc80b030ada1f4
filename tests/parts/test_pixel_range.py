"""Standardised pixels between 0 and 1, and back."""

import pytest
import torch

from unmask.parts.nets.pixel_range import PixelRange


def test_darkest_is_0_brightest_1_and_back_again():
    pixels = PixelRange((-1.0, -2.0), (3.0, 2.0))
    image = torch.tensor([[-1.0, -2.0], [3.0, 2.0], [0.0, 0.0]]).reshape(3, 2, 1, 1)
    values = pixels(image)
    assert values.flatten().tolist() == [0.0, 0.0, 1.0, 1.0, 0.25, 0.5]
    torch.testing.assert_close(pixels.standardised(values), image)
    assert pixels.mean(2) == (0.25, 0.5)


def test_what_lies_outside_is_cut_off_and_one_range_serves_all_channels():
    pixels = PixelRange(-1.0, 1.0)
    assert pixels(torch.tensor([-9.0, 9.0]).reshape(1, 2, 1, 1)).flatten().tolist() == [0.0, 1.0]
    assert pixels.mean(3) == (0.5, 0.5, 0.5)
    assert not pixels.state_dict()  # it follows from the settings


def test_a_range_that_is_none_is_refused():
    with pytest.raises(ValueError, match="must lie below"):
        PixelRange((0.0, 1.0), (1.0, 1.0))
    with pytest.raises(ValueError, match="same number of channels"):
        PixelRange((0.0, 1.0), 2.0)
