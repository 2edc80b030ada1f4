"""Masks of mixtures: every place is one picture's, and every picture has its share."""

import pytest
import torch

from formulas import pictures
from unmask.core import Context
from unmask.methods.mae import tiny
from unmask.parts.masks.mixing import MixingMask, mixing_mask


def noise(b: int, n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(b, n, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("group", [2, 3, 4])
@pytest.mark.parametrize("n", [12, 14, 49])
def test_every_place_is_shown_by_one_picture_and_every_picture_shows_its_share(group, n):
    mask = mixing_mask(noise(2 * group, n), noise(2 * group, group, 1))
    shown = (~mask.hidden).view(2, group, n)
    assert (shown.sum(1) == 1).all()
    counts = shown.sum(-1)
    assert set(counts.flatten().tolist()) <= {n // group, n // group + 1}
    assert (counts == n // group + 1).sum(1).tolist() == [n % group] * 2
    assert not torch.equal(shown[0], shown[1])


def test_the_lowest_noise_of_the_group_s_first_picture_goes_to_that_picture():
    scores = noise(4, 8)
    scores[0] = torch.tensor([0.7, 0.1, 0.6, 0.3, 0.2, 0.8, 0.5, 0.4])
    shown = ~mixing_mask(scores, noise(4, 4, 1)).hidden
    assert [row.nonzero().flatten().tolist() for row in shown] == [[1, 4], [3, 7], [2, 6], [0, 5]]


def test_places_that_are_left_over_change_hands():
    found = [(~mixing_mask(noise(4, 13, i), noise(4, 4, i + 9)).hidden).sum(-1).argmax().item() for i in range(20)]
    assert set(found) == {0, 1, 2, 3}


def test_an_incomplete_group_leaves_its_missing_pictures_their_share():
    mask = mixing_mask(noise(6, 16), noise(6, 4, 1))
    assert mask.hidden.sum(-1).tolist() == [12] * 6
    assert (~mask.hidden[4:]).sum(0).max() == 1


def test_padding_is_neither_shown_nor_hidden():
    places = torch.ones(4, 16, dtype=torch.bool)
    places[1, 8:] = False
    mask = mixing_mask(noise(4, 16), noise(4, 4, 1), places)
    assert not mask.hidden[1, 8:].any()
    assert mask.valid is None or mask.visible(torch.ones(4, 16, 1)).sum(1).flatten().tolist() == [
        int((~mask.hidden & places)[i].sum()) for i in range(4)
    ]


def test_groups_that_cannot_be_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="at least 2"):
        MixingMask(1)
    method, _ = tiny()
    with pytest.raises(ValueError, match="use smaller patches or groups"):
        MixingMask(5)(method, {"image": pictures(5, 3, 8, 8)}, Context())
