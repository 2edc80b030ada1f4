"""PartialMask: what is seen, what is predicted, and what is left out."""

import pytest
import torch

from unmask.core import Context
from unmask.methods.mae import tiny
from unmask.parts.masks.partial import PartialMask, partial_mask


def noise(b, n):
    return torch.rand(b, n, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("n", "ratio", "predicted", "seen", "hidden"),
    [
        (196, 0.75, 0.25, 49, 49),
        (196, 0.75, 0.75, 49, 147),
        (196, 0.9, 0.5, 19, 99),  # int(78.4) are left out
        (10, 0.5, 0.1, 5, 1),
        (100, 0.75, 0.65, 25, 66),  # int(9.99...) = 9 are left out, as in the released code
    ],
)
def test_counts_are_those_of_the_released_code(n, ratio, predicted, seen, hidden):
    mask = partial_mask(noise(3, n), ratio, predicted)
    assert mask.count == seen
    assert mask.hidden.sum(-1).tolist() == [hidden] * 3


def test_places_are_seen_left_out_and_predicted_in_the_order_of_their_noise():
    scores = noise(2, 16)
    mask = partial_mask(scores, 0.75, 0.25)
    rank = scores.argsort(-1).argsort(-1)
    assert torch.equal(mask.kept.sort(-1).values, (rank < 4).nonzero()[:, 1].reshape(2, 4))
    assert torch.equal(mask.hidden, rank >= 12)


def test_padding_is_neither_seen_nor_predicted_and_rows_keep_their_own_shares():
    places = torch.ones(2, 16, dtype=torch.bool)
    places[1, 8:] = False
    mask = partial_mask(noise(2, 16), 0.75, 0.25, places)
    assert mask.hidden.sum(-1).tolist() == [4, 2]
    assert mask.lengths.tolist() == [4, 2]
    assert not mask.hidden[1, 8:].any()


def test_at_least_one_place_is_predicted():
    assert partial_mask(noise(2, 2), 0.75, 0.01).hidden.sum(-1).tolist() == [1, 1]


@pytest.mark.parametrize("predicted", [0.0, 0.8, -0.1])
def test_predicting_nothing_or_what_is_seen_is_refused(predicted):
    with pytest.raises(ValueError, match=r"predicted -?\d.* at most 0\.75"):
        PartialMask(0.75, predicted)


def test_it_serves_any_method_on_any_grid():
    method, _ = tiny()
    batch = {"image": torch.randn(2, 3, 8, 24, generator=torch.Generator().manual_seed(0))}
    mask = PartialMask(0.5, 0.25)(method, batch, Context(generator=torch.Generator().manual_seed(0)))
    assert mask.hidden.shape == (2, 12)
    assert mask.hidden.sum(-1).tolist() == [3, 3]
    assert method.losses(batch, Context(), mask)["reconstruction"].isfinite()
