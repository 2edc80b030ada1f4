"""Regions of pixels: how much they cover, that they are smooth, and what is counted."""

import pytest
import torch

from unmask.core import Context
from unmask.parts.masks.regions import Region, cubic_weights, low_frequencies, middle

faithful = pytest.mark.faithful("context_encoder")


def context(seed=0, **more):
    return Context(generator=torch.Generator().manual_seed(seed), **more)


@faithful
@pytest.mark.parametrize("size", [(32, 32), (24, 40), (96, 96)])
def test_blobs_cover_a_fifth_to_three_tenths(size):
    region = Region("random")
    hidden = region({"image": torch.zeros(40, 3, *size)}, context())
    share = hidden.flatten(1).float().mean(1)
    assert share.min() >= 0.2
    assert share.max() <= 0.3
    assert region.measures()["moved_thresholds"] <= 0.05
    assert len({tuple(row.flatten().tolist()) for row in hidden}) == 40  # every picture has its own


@faithful
def test_blobs_are_smooth():
    hidden = Region("random")({"image": torch.zeros(20, 3, 64, 64)}, context()).float()
    changes = hidden.diff(dim=-1).abs().mean() + hidden.diff(dim=-2).abs().mean()
    assert changes < 0.15  # independent pixels of this density would give 0.75


def test_noise_passes_through_its_draws_and_a_constant_stays_one():
    weights = cubic_weights(torch.tensor([1.0, 2.0, 1.5]), 5)
    assert torch.equal(weights[:2], torch.eye(5)[1:3])
    torch.testing.assert_close(weights[2], torch.tensor([-1, 9, 9, -1, 0]) / 16)  # Keys 1981, halfway
    constant = low_frequencies(torch.full((1, 6, 6), 0.4), torch.rand(1, 2), (16, 16), 8.0)
    torch.testing.assert_close(constant, torch.full((1, 16, 16), 0.4))


def test_where_no_pattern_fits_the_threshold_moves_and_is_counted():
    region = Region("random", least=0.49, most=0.491)
    hidden = region({"image": torch.zeros(4, 3, 32, 32)}, context())
    assert region.measures() == {"moved_thresholds": 1.0}
    torch.testing.assert_close(hidden.flatten(1).float().mean(1), torch.full((4,), 0.4905), atol=2e-3, rtol=0)


def test_a_batch_in_two_halves_hides_what_the_whole_hides():
    image = torch.zeros(4, 3, 32, 32)
    whole = Region("random")({"image": image}, context(total=4))
    halves = [Region("random")({"image": image[:2]}, context(first=i, total=4)) for i in (0, 2)]
    assert torch.equal(whole, torch.cat(halves))


def test_the_centre_is_half_of_every_side_less_the_overlap():
    hidden = Region("centre", 2)({"image": torch.zeros(1, 3, 32, 48)}, context())[0]
    assert hidden.sum() == 12 * 20
    assert hidden[10:22, 14:34].all()
    assert middle((32, 48)) == (slice(8, 24), slice(12, 36))
    assert [Region().band((side, side)) for side in (128, 64, 32, 16)] == [4, 2, 1, 0]
    assert not Region("none")({"image": torch.zeros(1, 3, 32, 48)}, context()).any()


def test_mistakes_give_one_sentence():
    with pytest.raises(ValueError, match="choose one of centre, random, none"):
        Region("edge")
    with pytest.raises(ValueError, match="0 < least < most < 1"):
        Region("random", least=0.5, most=0.4)
    with pytest.raises(ValueError, match="overlap -1 may not be negative"):
        Region(overlap=-1)
