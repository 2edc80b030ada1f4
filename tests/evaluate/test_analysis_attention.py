"""Attention distance and mutual information, and the frequencies of feature maps."""

import math

import pytest
import torch

from unmask.evaluate.analysis.attention import (
    attention_distance,
    attention_information,
    class_attention,
    place_attention,
    place_distances,
)
from unmask.evaluate.analysis.fourier import FLOOR, diagonal_frequencies, relative_amplitude


def attention(n: int, heads: int = 2) -> torch.Tensor:
    return torch.randn(3, heads, n, n, generator=torch.Generator().manual_seed(0)).softmax(-1)


def waves(grid: tuple[int, int], rows: int, columns: int) -> torch.Tensor:
    """One channel: 1 plus a cosine of so many cycles along each axis."""
    y, x = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    return (1 + torch.cos(2 * math.pi * (rows * y / grid[0] + columns * x / grid[1]))).reshape(1, -1, 1)


def test_attention_between_places_leaves_the_class_token_out_and_sums_to_one():
    maps = attention(6)
    places = place_attention(maps, prefix=1)
    assert places.shape == (3, 2, 5, 5)
    torch.testing.assert_close(places.sum(-1), torch.ones(3, 2, 5))
    ratio = maps[0, 0, 2, 3] / maps[0, 0, 2, 4]
    torch.testing.assert_close(places[0, 0, 1, 2] / places[0, 0, 1, 3], ratio)


def test_without_a_class_token_attention_between_places_is_the_map_itself():
    torch.testing.assert_close(place_attention(attention(6), prefix=0), attention(6))


def test_class_attention_is_the_first_row_averaged_over_heads():
    maps = torch.tensor([[[[0.5, 0.4, 0.1], [1, 0, 0], [1, 0, 0]], [[0.5, 0.2, 0.3], [1, 0, 0], [1, 0, 0]]]])
    torch.testing.assert_close(class_attention(maps), torch.tensor([[0.6, 0.4]]))


def test_class_attention_without_a_class_token_is_refused():
    with pytest.raises(ValueError, match="class token"):
        class_attention(attention(5), prefix=0)


@pytest.mark.parametrize("n", [4, 49, 196])
def test_information_is_zero_for_uniform_attention(n):
    assert attention_information(torch.full((1, 2, n, n), 1 / n)).abs().max().item() < 1e-6  # rounding of entropies


@pytest.mark.parametrize("n", [4, 49, 196])
def test_information_is_one_for_a_permutation(n):
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    permutation = torch.eye(n)[order].expand(1, 2, n, n)
    torch.testing.assert_close(attention_information(permutation), torch.ones(1, 2), atol=1e-6, rtol=0)


def test_information_is_zero_when_all_queries_attend_alike():
    one_key = torch.zeros(1, 1, 5, 5)
    one_key[..., 2] = 1
    same_rows = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.0]).expand(1, 1, 5, 5)
    assert attention_information(one_key).item() == 0
    assert attention_information(same_rows).item() == pytest.approx(0, abs=1e-6)


def test_information_of_a_case_worked_by_hand():
    blocks = torch.kron(torch.eye(2), torch.full((2, 2), 0.5)).view(1, 1, 4, 4)  # two groups that see themselves
    assert attention_information(blocks).item() == pytest.approx(math.log(2) / math.log(4))


def test_distance_is_zero_when_every_place_looks_at_itself():
    assert attention_distance(torch.eye(12).expand(1, 2, 12, 12), (3, 4), 16).abs().max() == 0


def test_distance_of_uniform_attention_is_the_mean_pairwise_distance_in_pixels():
    places = [(r * 8.0, c * 8.0) for r in range(3) for c in range(5)]
    mean = sum(math.dist(p, q) for p in places for q in places) / len(places) ** 2
    uniform = torch.full((1, 1, 15, 15), 1 / 15)
    assert attention_distance(uniform, (3, 5), 8).item() == pytest.approx(mean, rel=1e-5)


def test_distances_follow_the_reading_order_of_the_grid():
    distances = place_distances((2, 3), 4)
    assert distances[0, 1] == 4  # one column to the right
    assert distances[0, 3] == 4  # one row down
    assert distances[0, 5].item() == pytest.approx(4 * math.sqrt(5))


def test_distance_on_a_wrong_grid_is_refused():
    with pytest.raises(ValueError, match="grid of 3x4"):
        attention_distance(attention(13), (3, 4))


def test_a_constant_map_is_at_the_floor_at_every_frequency():
    curve = relative_amplitude(torch.full((1, 64, 3), 2.0), (8, 8))[0]
    assert curve[0] == 0
    floor = math.log(FLOOR) - math.log(2.0 * 64 + FLOOR)
    torch.testing.assert_close(curve[1:], torch.full((4,), floor), atol=1e-4, rtol=0)  # the log of a sum of 64


@pytest.mark.parametrize("grid", [(8, 8), (7, 7), (8, 12)])
def test_a_wave_along_the_diagonal_peaks_at_its_own_frequency(grid):
    share = 2 / min(grid)
    x = waves(grid, round(share * grid[0]), round(share * grid[1]))
    curve = relative_amplitude(x, grid)[0]
    assert curve.shape == diagonal_frequencies(grid).shape
    assert curve[1:].argmax().item() + 1 == 2
    assert curve[2].item() == pytest.approx(math.log(0.5), abs=1e-4)  # half of frequency 0: a cosine has two sides


def test_frequencies_of_an_even_grid_end_at_pi():
    assert diagonal_frequencies((14, 14))[-1].item() == pytest.approx(math.pi)
    assert len(diagonal_frequencies((14, 14))) == 8


def test_smoothing_a_feature_map_lowers_its_high_frequencies():
    x = torch.randn(2, 64, 4, generator=torch.Generator().manual_seed(0))
    x = x + 1
    smooth = x.view(2, 8, 8, 4)
    smooth = sum(smooth.roll((r, c), (1, 2)) for r in (0, 1) for c in (0, 1)).reshape(2, 64, 4) / 4
    assert (relative_amplitude(smooth, (8, 8))[:, -1] < relative_amplitude(x, (8, 8))[:, -1]).all()


def test_amplitudes_on_a_wrong_grid_are_refused():
    with pytest.raises(ValueError, match="grid of 8x8"):
        relative_amplitude(torch.zeros(1, 65, 2), (8, 8))
