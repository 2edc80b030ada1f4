"""Frechet distance: closed forms, symmetry, and what it does not see."""

import pytest
import torch

from unmask.evaluate.frechet import frechet_distance, gaussian_distance


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_of_diagonal_gaussians_is_the_distance_of_means_and_deviations():
    one, other = torch.tensor([4.0, 9.0]).double(), torch.tensor([1.0, 16.0]).double()
    mean = torch.tensor([1.0, -2.0]).double()
    found = gaussian_distance(mean, one.diag(), torch.zeros(2).double(), other.diag())
    assert found == pytest.approx(1 + 4 + (2 - 1) ** 2 + (3 - 4) ** 2)


def test_equals_the_matrix_root_of_scipy():
    linalg = pytest.importorskip("scipy.linalg")
    one, other = normal(50, 6) @ normal(6, 6, 1), normal(70, 6, 2) + 0.5
    c, d = torch.cov(one.T).numpy(), torch.cov(other.T).numpy()
    expected = float((one.mean(0) - other.mean(0)).square().sum()) + (c + d - 2 * linalg.sqrtm(c @ d).real).trace()
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(other, one) == pytest.approx(expected, rel=1e-9)


def test_of_a_set_with_itself_is_0_even_with_fewer_rows_than_numbers():
    assert frechet_distance(normal(5, 20).float(), normal(5, 20).float()) == pytest.approx(0, abs=1e-6)


def test_moving_a_set_adds_the_square_of_the_way():
    rows = normal(40, 3)
    assert frechet_distance(rows, rows + torch.tensor([3.0, 0.0, 4.0])) == pytest.approx(25)


def test_one_row_is_refused():
    with pytest.raises(ValueError, match="give at least 2 of each"):
        frechet_distance(normal(1, 3), normal(5, 3))
