"""Contrast by cases worked by hand."""

import math

import torch

from unmask.parts.losses.contrast import hierarchical_contrast, pair_contrast


def test_of_one_pair_there_is_nothing_to_find():
    assert float(pair_contrast(torch.randn(3, 1, 4), torch.randn(3, 1, 4))) == 0


def test_vectors_that_are_all_alike_are_found_by_chance():
    alike = torch.zeros(2, 3, 4)
    assert math.isclose(float(pair_contrast(alike, alike)), math.log(5), rel_tol=1e-6)


def test_two_orthogonal_pairs():
    """Every vector has its partner at dot product 4 and two others at 0."""
    both = torch.tensor([[[2.0, 0.0], [0.0, 2.0]]])
    expected = -math.log(math.exp(4) / (math.exp(4) + 2))
    assert math.isclose(float(pair_contrast(both, both)), expected, rel_tol=1e-5)


def test_all_scales_share_the_weight_and_the_last_adds_nothing_in_time():
    """Four zero moments: log 7 and log 3 at lengths 4 and 2, nothing at 1; half of each, a third of the sum."""
    zeros = torch.zeros(2, 4, 3)
    expected = 0.5 * (math.log(7) + math.log(3)) / 3
    assert math.isclose(float(hierarchical_contrast(zeros, zeros)), expected, rel_tol=1e-6)


def test_samples_are_compared_at_every_moment_of_every_scale():
    zeros = torch.zeros(2, 4, 3)
    found = float(hierarchical_contrast(zeros, zeros, temporal=False, instance=True))
    assert math.isclose(found, 0.5 * math.log(3), rel_tol=1e-6)


def test_other_samples_do_not_touch_the_contrast_in_time():
    first, second = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    whole = hierarchical_contrast(first, second)
    parts = [hierarchical_contrast(first[i : i + 1], second[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(whole, torch.stack(parts).mean())
