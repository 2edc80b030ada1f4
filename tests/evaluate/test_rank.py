"""Rank and collapse of features on cases worked by hand."""

import pytest
import torch

from unmask.evaluate.rank import feature_std, mean_cosine, rankme


def test_rankme_of_isotropic_features_is_their_width():
    isotropic, _ = torch.linalg.qr(torch.randn(64, 16, generator=torch.Generator().manual_seed(0)))
    assert rankme(5 * isotropic) == pytest.approx(16, abs=1e-3)  # the paper's epsilon shifts it by less


def test_rankme_of_a_rank_one_matrix_is_one():
    line = torch.linspace(1, 2, 50)[:, None] * torch.ones(1, 8)
    assert rankme(line) == pytest.approx(1, abs=1e-4)  # seven shares of epsilon 1e-7 remain


def test_rankme_counts_two_equal_directions_as_two():
    assert rankme(torch.eye(6)[:, :2]) == pytest.approx(2, abs=1e-4)


def test_feature_std_is_one_when_spread_evenly_and_zero_when_collapsed():
    spread = torch.cat([torch.eye(8), -torch.eye(8)])
    assert feature_std(spread) == pytest.approx(1, abs=1e-6)
    assert feature_std(torch.ones(10, 8)) == pytest.approx(0, abs=1e-6)


def test_mean_cosine_counts_pairs_of_different_samples_only():
    assert mean_cosine(torch.eye(5)) == pytest.approx(0, abs=1e-12)
    assert mean_cosine(3 * torch.ones(5, 4)) == pytest.approx(1, abs=1e-6)
    assert mean_cosine(torch.tensor([[1.0, 0.0], [-2.0, 0.0]])) == pytest.approx(-1, abs=1e-6)


def test_one_sample_makes_no_pair():
    with pytest.raises(ValueError, match="1 sample"):
        mean_cosine(torch.ones(1, 4))
