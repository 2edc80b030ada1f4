"""Mask: counts, both directions, rows of unequal length, and no batch axis."""

import pytest
import torch

from unmask.core import Mask, keep_count

NOISE = torch.rand(3, 12, generator=torch.Generator().manual_seed(0))
TOKENS = torch.randn(3, 12, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("n", "ratio", "rule", "kept"),
    [
        (196, 0.75, "floor_kept", 49),
        (10, 0.75, "floor_kept", 2),
        (10, 0.75, "floor_hidden", 3),
        (10, 0.75, "round", 2),
        (10, 0.74, "round", 3),
        (36, 0.6, "floor_kept", 14),
        (4, 0.999, "floor_kept", 1),
        (4, 0.001, "floor_hidden", 3),
        (2, 0.5, "round", 1),
    ],
)
def test_counts_follow_the_named_rule_and_leave_one_place_on_each_side(n, ratio, rule, kept):
    assert keep_count(n, ratio, rule) == kept


@pytest.mark.parametrize("rule", ["floor_kept", "floor_hidden", "round"])
def test_rules_differ_from_the_exact_share_by_less_than_one_place(rule):
    for n in range(2, 60):
        for ratio in (0.1, 0.25, 0.5, 0.6, 0.75, 0.9):
            kept = keep_count(n, ratio, rule)
            assert 1 <= kept <= n - 1
            assert abs(kept - n * (1 - ratio)) < 1 or kept in (1, n - 1)


@pytest.mark.parametrize(
    ("n", "ratio", "rule"), [(9, 0.0, "round"), (9, 1.0, "round"), (1, 0.5, "round"), (9, 0.5, "up")]
)
def test_ratios_that_hide_nothing_or_all_single_places_and_unknown_rules_are_refused(n, ratio, rule):
    with pytest.raises(ValueError, match=r"mask ratio|place\(s\)|rule"):
        keep_count(n, ratio, rule)


def test_every_row_hides_the_places_with_the_highest_scores():
    mask = Mask.from_scores(NOISE, 4)
    assert mask.count == 4
    assert mask.lengths is None
    assert torch.equal(mask.hidden.sum(-1), torch.tensor([8, 8, 8]))
    lowest = NOISE.sort(dim=-1).values[:, 3:4]
    assert torch.equal(mask.hidden, lowest < NOISE)


def test_equal_scores_keep_the_order_of_the_places():
    assert Mask.from_scores(torch.zeros(1, 6), 2).hidden.tolist() == [[False, False, True, True, True, True]]


def test_visible_tokens_are_the_seen_ones_in_the_order_of_their_scores():
    mask = Mask.from_scores(NOISE, 5)
    expected = torch.stack([row[scores.argsort()[:5]] for row, scores in zip(TOKENS, NOISE, strict=True)])
    assert torch.equal(mask.visible(TOKENS), expected)


def test_complete_puts_visible_tokens_back_and_the_fill_elsewhere():
    mask, fill = Mask.from_scores(NOISE, 5), torch.full((5,), 7.0)
    restored = mask.complete(mask.visible(TOKENS), fill)
    assert torch.equal(restored, torch.where(mask.hidden.unsqueeze(-1), fill, TOKENS))
    assert torch.equal(restored, mask.cover(TOKENS, fill))


def test_cover_keeps_the_length_and_changes_only_hidden_places():
    mask = Mask.from_scores(NOISE, 5)
    covered = mask.cover(TOKENS, torch.zeros(5))
    assert covered.shape == TOKENS.shape
    assert torch.equal(covered[~mask.hidden], TOKENS[~mask.hidden])
    assert not covered[mask.hidden].any()


def test_a_fill_may_differ_from_place_to_place():
    mask, fill = Mask.from_scores(NOISE, 5), torch.arange(12.0).unsqueeze(-1).expand(12, 5)
    assert torch.equal(mask.complete(mask.visible(TOKENS), fill), torch.where(mask.hidden.unsqueeze(-1), fill, TOKENS))


def test_rows_may_see_different_numbers_of_places():
    mask = Mask.from_scores(NOISE, torch.tensor([2, 5, 12]))
    assert mask.count == 12
    assert mask.lengths.tolist() == [2, 5, 12]
    assert (~mask.hidden).sum(-1).tolist() == [2, 5, 12]
    assert mask.valid.sum(-1).tolist() == [2, 5, 12]


def test_shorter_rows_are_padded_with_zeros_that_never_return():
    mask, fill = Mask.from_scores(NOISE, torch.tensor([2, 5, 12])), torch.full((5,), 7.0)
    seen = mask.visible(TOKENS)
    assert not seen[~mask.valid].any()
    poisoned = torch.where(mask.valid.unsqueeze(-1), seen, torch.full_like(seen, torch.nan))
    assert torch.equal(mask.complete(poisoned, fill), torch.where(mask.hidden.unsqueeze(-1), fill, TOKENS))


def test_a_boolean_mask_is_taken_as_it_is():
    hidden = NOISE > 0.5
    mask = Mask.of(hidden)
    assert torch.equal(mask.hidden, hidden)
    assert torch.equal(mask.complete(mask.visible(TOKENS), torch.zeros(5)), TOKENS * ~hidden.unsqueeze(-1))


def test_a_boolean_mask_with_equal_rows_is_not_ragged():
    assert Mask.of(Mask.from_scores(NOISE, 5).hidden).valid is None


def test_places_that_do_not_exist_are_neither_seen_nor_hidden():
    places = torch.ones(3, 12, dtype=torch.bool)
    places[0, 6:], places[2, 0] = False, False
    for mask in (
        Mask.from_scores(NOISE, torch.tensor([2, 4, 3]), places),
        Mask.of(NOISE > 0.5, places),
    ):
        seen = torch.zeros_like(places)
        for row, (order, length) in enumerate(zip(mask.order, mask.valid.sum(-1), strict=True)):
            seen[row, order[:length]] = True
        assert not (seen & ~places).any()
        assert not (mask.hidden & ~places).any()
        assert torch.equal(seen | mask.hidden, places)


def test_masks_work_without_a_batch_axis():
    mask = Mask.from_scores(NOISE[0], 3)
    assert mask.hidden.shape == (12,)
    assert torch.equal(mask.visible(TOKENS[0]), TOKENS[0][NOISE[0].argsort()[:3]])
    assert torch.equal(mask.complete(mask.visible(TOKENS[0]), torch.zeros(5)), TOKENS[0] * ~mask.hidden.unsqueeze(-1))
    assert torch.equal(Mask.of(mask.hidden).hidden, mask.hidden)


def test_masks_work_with_two_batch_axes():
    mask = Mask.from_scores(NOISE.reshape(3, 2, 6), 2)
    tokens = TOKENS.reshape(3, 2, 6, 5)
    assert torch.equal(mask.complete(mask.visible(tokens), torch.zeros(5)), tokens * ~mask.hidden.unsqueeze(-1))


def test_a_mask_that_hides_nothing_shows_everything_in_order():
    mask = Mask.nothing(3, 12)
    assert not mask.hidden.any()
    assert torch.equal(mask.visible(TOKENS), TOKENS)


def test_gradients_reach_seen_tokens_and_the_fill_only():
    mask, tokens = Mask.from_scores(NOISE, 5), TOKENS.clone().requires_grad_()
    fill = torch.zeros(5, requires_grad=True)
    mask.complete(mask.visible(tokens), fill).sum().backward()
    assert torch.equal(tokens.grad, (~mask.hidden).unsqueeze(-1).expand_as(TOKENS).float())
    assert torch.equal(fill.grad, torch.full((5,), float(mask.hidden.sum())))
