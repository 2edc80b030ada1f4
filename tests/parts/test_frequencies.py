"""Spectra and filters: parts add up, discs are symmetric, only counted coefficients count."""

import pytest
import torch

from formulas import pictures
from unmask.parts.losses.spectral import spectral_distance
from unmask.parts.ops.frequencies import disc, filtered, spectrum


@pytest.mark.parametrize("size", [(16, 16), (15, 17), (16, 12)])
def test_what_is_kept_and_what_is_taken_away_add_up_to_the_picture(size):
    image, inside = pictures(2, 3, *size), disc(*size, 4).expand(2, -1, -1)
    torch.testing.assert_close(filtered(image, inside) + filtered(image, ~inside), image, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 16), (15, 17), (16, 12)])
def test_a_disc_within_the_picture_leaves_nothing_imaginary(size):
    left = spectrum(pictures(2, 3, *size)) * disc(*size, min(size) / 2)
    assert torch.fft.ifft2(torch.fft.ifftshift(left, dim=(-2, -1))).imag.abs().max() < 1e-6


def test_the_mean_stands_in_the_middle_and_lengths_are_kept():
    image = pictures(1, 1, 6, 8)
    coefficients = spectrum(image)
    torch.testing.assert_close(coefficients[0, 0, 3, 4].real, image.mean() * 48**0.5)
    torch.testing.assert_close(coefficients.abs().square().sum(), image.square().sum())


def test_a_disc_holds_the_frequencies_nearer_than_its_radius():
    assert disc(5, 5, 1.5).int().tolist() == [
        [0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 1, 1, 1, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0],
    ]
    assert disc(5, 5, 1, 2.5).int().tolist() == [
        [1, 0, 0, 0, 1],
        [0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0],
        [1, 0, 0, 0, 1],
    ]


def test_the_distance_of_two_coefficients_by_hand():
    one, other = torch.zeros(1, 1, 1, 2, dtype=torch.complex64), torch.tensor([[[[3 + 4j, 5j]]]])
    assert spectral_distance(one, other).item() == pytest.approx(5.0)
    assert spectral_distance(one, other, torch.tensor([[[True, False]]]), power=2).item() == pytest.approx(25.0)
    assert spectral_distance(one, one).item() == pytest.approx(1e-6)
