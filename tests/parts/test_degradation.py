"""Degradations: kernels, borders, sizes and noise by hand."""

from pathlib import Path

import pytest
import torch

from formulas import pictures, recorded
from unmask.core import Context
from unmask.parts.masks.corruption import Corruption
from unmask.parts.ops.degradation import blurred, coarse, gaussian_kernels

RELEASED = recorded(str(Path(__file__).parents[1] / "methods" / "any"), "mfm_reference.json")["blur_kernel"]


def drawn(seed=0, **values) -> Context:
    return Context(generator=torch.Generator().manual_seed(seed), **values)


def grey(b=3, side=32):
    return torch.rand(b, 3, side, side, generator=torch.Generator().manual_seed(1))


def test_a_blur_is_the_convolution_with_the_released_kernel():
    kernel = torch.tensor(RELEASED["values"])
    bell = gaussian_kernels(torch.tensor([RELEASED["sigma"]]), torch.tensor([RELEASED["size"]]), 9)[0]
    assert bell[0] == bell[-1] == 0
    torch.testing.assert_close(torch.outer(bell, bell)[1:-1, 1:-1], kernel, rtol=0, atol=1e-6)
    dot = torch.zeros(1, 1, 15, 15)
    dot[0, 0, 7, 7] = 1
    torch.testing.assert_close(blurred(dot, bell.unsqueeze(0))[0, 0, 4:11, 4:11], kernel, rtol=0, atol=1e-6)


def test_every_picture_has_its_own_blur_and_a_constant_one_stays():
    kernels = gaussian_kernels(torch.tensor([1.0, 3.0]), torch.tensor([3, 7]), 7)
    both = blurred(grey(2), kernels)
    for i in range(2):
        torch.testing.assert_close(both[i], blurred(grey(2)[i : i + 1], kernels[i : i + 1])[0])
    torch.testing.assert_close(blurred(torch.full((2, 3, 8, 8), 0.3), kernels), torch.full((2, 3, 8, 8), 0.3))


def test_pictures_too_small_for_a_degradation_are_refused_with_both_numbers():
    with pytest.raises(ValueError, match="blur of 21 pixels does not fit a picture of 10x16"):
        blurred(torch.zeros(1, 3, 10, 16), torch.ones(1, 21) / 21)
    with pytest.raises(ValueError, match="4x9 cannot be made 8 times smaller"):
        coarse(torch.zeros(1, 3, 4, 9), 8)


def test_a_coarse_picture_keeps_its_size_and_range_and_varies_less():
    found = coarse(grey(), 4)
    assert found.shape == grey().shape
    assert 0 <= found.min() <= found.max() <= 1
    assert found.diff(dim=-1).square().mean() < 0.2 * grey().diff(dim=-1).square().mean()


def test_noise_has_the_deviation_that_was_asked_for_and_is_not_cut_off():
    found = Corruption("noise", noise=(51.0, 51.0))(torch.ones(8, 3, 32, 32), drawn()).values
    assert found.std().item() == pytest.approx(0.2, rel=0.02)
    assert found.max() > 1.2


@pytest.mark.parametrize("low", [0.0, 1.0])
def test_low_or_high_frequencies_are_kept_as_asked(low):
    values, removed = Corruption(radius=4, low=low)(grey(), drawn())
    assert removed[:, 16, 16].tolist() == [low == 0] * 3
    mean = values.mean((1, 2, 3))
    if low:
        torch.testing.assert_close(mean, grey().mean((1, 2, 3)), rtol=0, atol=1e-2)
    else:
        assert (mean < 0.2).all()  # without their mean, half of the values were cut off at 0


def test_by_default_the_radius_follows_the_size_of_the_picture():
    removed = Corruption(low=1.0)(grey(side=112), drawn()).removed
    assert torch.equal(removed, Corruption(radius=8, low=1.0)(grey(side=112), drawn()).removed)


def test_mixed_corruptions_are_one_of_the_three_for_every_picture():
    values, image = Corruption("mixed")(grey(24), drawn()).values, grey(24)
    softer = values.diff(dim=-1).square().mean((1, 2, 3)) / image.diff(dim=-1).square().mean((1, 2, 3))
    noisy = (values < 0).flatten(1).any(1)
    assert 0 < noisy.sum() < 24
    assert (softer[noisy] > 1).all()
    assert (softer[~noisy] < 0.5).all()


def test_half_a_batch_is_corrupted_as_in_the_whole():
    image = grey(4)
    for kind in ("frequencies", "resolution", "blur", "noise", "mixed"):
        corruption = Corruption(kind)
        whole = corruption(image, drawn(total=4)).values
        half = corruption(image[2:], drawn(total=4, first=2)).values
        torch.testing.assert_close(half, whole[2:], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"kind": "fog"}, "corruption 'fog' is unknown"),
        ({"radius": -1.0}, "radius -1.0 must lie above 0"),
        ({"radius": 5.0, "outer": 4.0}, "below the outer one, 4.0"),
        ({"low": 1.5}, "low 1.5 is not a share"),
        ({"factor": 1}, "factor 1 takes no detail away"),
        ({"blur": (3.0, 1.0)}, r"blur \(3.0, 1.0\) is not a least and a largest"),
        ({"noise": (1.0, 2.0, 3.0)}, r"noise \(1.0, 2.0, 3.0\) is not"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        Corruption(**wrong)


def test_a_radius_that_leaves_nothing_to_take_away_is_refused():
    with pytest.raises(ValueError, match="radius 50 leaves nothing to take away from pictures of 32x32"):
        Corruption(radius=50)(pictures(1, 3, 32, 32), drawn())
