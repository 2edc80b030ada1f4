"""Windows of time series: normalised, cut and put together."""

import pytest
import torch

from unmask.parts.ops.series import instance_statistics, joined_patches, normalised, series_patches


def test_a_normalised_window_has_mean_0_and_deviation_1_in_every_channel():
    series = torch.randn(3, 50, 2, generator=torch.Generator().manual_seed(0)) * 4 + 7
    found = normalised(series)
    torch.testing.assert_close(found.mean(1), torch.zeros(3, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std(1, unbiased=False), torch.ones(3, 2), atol=1e-4, rtol=0)
    mean, deviation = instance_statistics(series)
    torch.testing.assert_close(found * deviation + mean, series)


def test_a_window_that_never_changes_becomes_0():
    assert torch.equal(normalised(torch.full((1, 9, 1), 3.0)), torch.zeros(1, 9, 1))


def test_patches_are_counted_from_the_end():
    series = torch.arange(8.0).reshape(1, 8, 1)
    assert series_patches(series, 3, 3)[0, 0].tolist() == [[2, 3, 4], [5, 6, 7]]
    assert series_patches(series, 4, 2)[0, 0].tolist() == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]


@pytest.mark.parametrize(("size", "stride"), [(3, 3), (4, 2)])
def test_joined_patches_are_the_series_again_without_the_rows_of_no_patch(size, stride):
    series = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(0))
    joined = joined_patches(series_patches(series, size, stride), stride, 8)
    dropped = (8 - size) % stride
    assert (joined[:, :dropped] == 0).all()
    torch.testing.assert_close(joined[:, dropped:], series[:, dropped:])
