"""Coloured noise: the bands, the windows, the masks."""

import pytest
import torch

from formulas import pictures
from unmask.core import Context
from unmask.methods.mae import tiny
from unmask.parts.masks.colour import COLOURS, ColourMask, coloured_noise, cut_windows, strongest_seen


def context(seed: int = 0, progress: float = 0.5, **values) -> Context:
    return Context(progress=progress, generator=torch.Generator().manual_seed(seed), **values)


def power_by_frequency(noise: torch.Tensor, rings: int = 8) -> torch.Tensor:
    """Mean power in rings of equal width, from low to high frequencies."""
    side = noise.shape[-1]
    power = torch.fft.fft2(noise).abs().square().mean(0)
    radius = (torch.fft.fftfreq(side).square()[:, None] + torch.fft.fftfreq(side).square()[None, :]).sqrt()
    ring = (radius / 0.5 * rings).long()
    return torch.stack([power[ring == i].mean() for i in range(rings)])


def lag_one(colour: str) -> float:
    """Correlation of a mask's neighbours."""
    noise = coloured_noise(pictures(256, 32, 32), colour)
    hidden = strongest_seen(noise[:, :16, :16].flatten(1), 0.75).hidden.float().reshape(-1, 16, 16) - 0.75
    return float((hidden[..., 1:] * hidden[..., :-1]).mean() / hidden.square().mean())


def test_every_colour_has_its_band():
    power = {colour: power_by_frequency(coloured_noise(pictures(256, 32, 32), colour)) for colour in COLOURS}
    assert (power["red"].diff() < 0).all()
    assert (power["blue"].diff() > 0).all()
    assert 0 < power["green"].argmax() < 7
    assert 0 < power["purple"].argmin() < 7
    assert power["white"].max() / power["white"].min() < 1.2


def test_red_green_and_blue_add_up_to_the_white_noise_and_purple_is_all_but_green():
    white = pictures(4, 16, 16)
    red, green, blue, purple, _ = (coloured_noise(white, colour) for colour in COLOURS)
    torch.testing.assert_close(red + green + blue, white, rtol=0, atol=1e-5)
    torch.testing.assert_close(white - green, purple, rtol=0, atol=1e-5)


def test_a_blur_of_a_point_is_a_gaussian():
    point = torch.zeros(1, 33, 33)
    point[0, 16, 16] = 1
    found = coloured_noise(point, "red", coarse=2.0)[0, 16, 10:23]
    expected = (-(torch.arange(-6.0, 7.0) ** 2) / 8).exp() / (2 * torch.pi * 4)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_neighbours_are_hidden_together_most_in_red_then_green_then_white_then_blue_masks():
    found = [lag_one(colour) for colour in ("red", "green", "white", "blue")]
    assert found == sorted(found, reverse=True)
    assert found[0] - found[1] > 0.1
    assert abs(found[2]) < 0.03


def test_a_window_is_where_it_was_cut_and_flipped_as_asked():
    patterns = torch.arange(2 * 25.0).reshape(2, 5, 5)
    chosen, corners = torch.tensor([1, 0]), torch.tensor([[1, 2], [0, 1]])
    flips = torch.tensor([[False, True], [True, False]])
    first, second = cut_windows(patterns, chosen, corners, flips, (2, 3)).unflatten(-1, (2, 3))
    assert torch.equal(first, patterns[1, 1:3, 2:5].flip(1))
    assert torch.equal(second, patterns[0, 0:2, 1:4].flip(0))


@pytest.mark.parametrize(("shape", "hidden"), [((16, 16), 12), ((8, 24), 9), ((20, 4), 4)])
def test_any_grid_hides_its_exact_share(shape, hidden):
    mask = ColourMask(patterns=8, side=8)(tiny()[0], {"image": pictures(3, 3, *shape)}, context())
    assert mask.hidden.sum(-1).tolist() == [hidden] * 3


def test_padding_is_neither_seen_nor_hidden():
    valid = torch.zeros(2, 16, 16, dtype=torch.bool)
    valid[0, :8, :8], valid[1] = True, True
    batch = {"image": pictures(2, 3, 16, 16), "image_valid": valid}
    model = tiny()[0]
    mask = ColourMask(patterns=8, side=8)(model, batch, context())
    places = model.places(batch)
    assert not (mask.hidden & ~places).any()
    assert mask.hidden.sum(-1).tolist() == [3, 12]
    assert mask.lengths.tolist() == [1, 4]


def test_masks_of_a_divided_batch_are_those_of_the_whole():
    sampler, model, image = ColourMask(patterns=8, side=8), tiny()[0], pictures(4, 3, 16, 16)
    whole = sampler(model, {"image": image}, context(total=4)).hidden
    parts = [sampler(model, {"image": image[i : i + 2]}, context(first=i, total=4)).hidden for i in (0, 2)]
    assert torch.equal(whole, torch.cat(parts))


def test_patterns_are_the_same_wherever_they_are_made_and_not_saved():
    first, second = ColourMask(patterns=8, side=8), ColourMask(patterns=8, side=8)
    batch, model = {"image": pictures(4, 3, 16, 16)}, tiny()[0]
    torch.manual_seed(1)
    one = first(model, batch, context())
    torch.manual_seed(2)
    assert torch.equal(one.hidden, second(model, batch, context()).hidden)
    assert not first.state_dict()


def test_colours_follow_each_other_as_the_training_goes_on():
    sampler = ColourMask(colour="green, blue,red", starts=(0.0, 0.5, 0.9), patterns=8, side=8)
    assert [sampler.colour(progress) for progress in (0.0, 0.49, 0.5, 0.89, 1.0)] == [
        *("green", "green", "blue", "blue", "red")
    ]
    batch, model = {"image": pictures(2, 3, 16, 16)}, tiny()[0]
    later = sampler(model, batch, context(progress=0.5)).hidden
    assert torch.equal(later, ColourMask(colour="blue", patterns=8, side=8)(model, batch, context()).hidden)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"colour": "pink"}, "'pink' is unknown; choose one of red, green"),
        ({"colour": "green,blue"}, "one share per colour"),
        ({"colour": "green,blue", "starts": (0.0, 0.9, 0.5)}, "one share per colour"),
        ({"fine": 2.0, "coarse": 1.0}, "leave no band"),
        ({"patterns": 0}, "at least 1"),
        ({"ratio": 1.5}, "ratio 1.5"),
    ],
)
def test_settings_that_make_no_mask_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        ColourMask(**settings)


def test_patterns_smaller_than_the_grid_are_refused_with_the_size_to_set():
    with pytest.raises(ValueError, match="noise patterns of 3x3 are too small for 4x4 patches; set side=4 or more"):
        ColourMask(patterns=2, side=3)(tiny()[0], {"image": pictures(1, 3, 16, 16)}, context())
