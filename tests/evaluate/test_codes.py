"""Active units and moments of codes."""

import pytest
import torch

from unmask.evaluate.codes import active_units, moments, perplexity


def test_units_are_active_from_a_variance_of_a_hundredth():
    wave = torch.tensor([-1.0, 1.0]).repeat(50)
    means = torch.stack([wave, 0.11 * wave, 0.09 * wave, torch.full((100,), 7.0)], dim=-1)
    assert active_units(means) == 2
    assert active_units(means, 0.001) == 3


def test_standard_normal_codes_have_the_priors_moments_and_others_do_not():
    codes = torch.randn(50_000, 3, generator=torch.Generator().manual_seed(0))
    assert moments(codes) == pytest.approx({"mean": 0, "covariance": 0}, abs=0.02)
    assert moments(codes + 1)["mean"] == pytest.approx(1, abs=0.02)
    assert moments(2 * codes)["covariance"] == pytest.approx(3, abs=0.1)


def test_perplexity_counts_entries_by_how_often_they_are_used():
    assert perplexity(torch.tensor([0, 1, 2, 3])) == pytest.approx(4.0)
    assert perplexity(torch.tensor([[5, 5], [5, 5]])) == pytest.approx(1.0)
    assert 1 < perplexity(torch.tensor([0, 0, 0, 1])) < 2
