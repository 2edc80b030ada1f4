"""Layers that compute at active positions only, against torch's own on the values that are left."""

import pytest
import torch
from torch import nn

from unmask.parts.nets.masked_conv import (
    Active,
    MaskedBatchNorm2d,
    MaskedConv2d,
    MaskedConvTranspose2d,
    MaskedLayerNorm2d,
    MaskedMaxPool2d,
    active_mean,
    active_rows,
    from_rows,
    only_active,
)


def pictures(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def some(b=2, h=8, w=12):
    return Active(torch.rand(b, h, w, generator=torch.Generator().manual_seed(3)) < 0.4)


def test_a_coarse_position_is_active_if_any_of_its_pixels_is():
    pixels = torch.zeros(1, 4, 4, dtype=torch.bool)
    pixels[0, 0, 1] = pixels[0, 3, 3] = True
    assert Active(pixels).at(pictures(1, 5, 2, 2)).int().tolist() == [[[[1, 0], [0, 1]]]]
    assert torch.equal(Active(pixels).at(pictures(1, 5, 4, 4)).squeeze(1), pixels)


def test_a_resolution_that_is_no_whole_square_of_pixels_is_refused():
    with pytest.raises(ValueError, match="do not divide"):
        some().at(pictures(2, 3, 3, 4))


def test_what_is_not_active_is_0_even_where_it_was_not_a_number():
    active = some()
    x = torch.where(active.at(pictures(2, 1, 8, 12)), pictures(2, 3, 8, 12), torch.nan)
    assert only_active(x, active).isfinite().all()
    assert only_active(x, None) is x


def test_rows_go_back_to_where_they_came_from():
    x, active = pictures(2, 3, 8, 12), some()
    assert len(active_rows(x, active)) == active.pixels.sum()
    assert torch.equal(from_rows(active_rows(x, active), x, active), only_active(x, active))
    assert torch.equal(from_rows(active_rows(x, None), x, None), x)


@pytest.mark.parametrize(
    ("layer", "plain"),
    [
        (MaskedConv2d(3, 5, 3, 2, 1), nn.Conv2d(3, 5, 3, 2, 1)),
        (MaskedConvTranspose2d(3, 5, 4, 2, 1), nn.ConvTranspose2d(3, 5, 4, 2, 1)),
        (MaskedMaxPool2d(3, 2, 1), nn.MaxPool2d(3, 2, 1)),
        (MaskedBatchNorm2d(3), nn.BatchNorm2d(3)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_without_a_map_a_layer_is_torch_s_under_the_same_names(layer, plain):
    plain.load_state_dict(layer.state_dict())
    x = pictures(2, 3, 8, 12)
    assert torch.equal(layer(x), plain(x))


@pytest.mark.parametrize("layer", [MaskedConv2d(3, 5, 3, 2, 1), MaskedMaxPool2d(3, 2, 1)], ids=["conv", "pool"])
def test_spatial_layers_leave_0_at_inactive_positions_and_torch_s_values_elsewhere(layer):
    active = some()
    x = only_active(pictures(2, 3, 8, 12), active)
    y, dense = layer(x, active), layer(x)
    assert not y.masked_select(~active.at(y)).any()
    assert torch.equal(y.masked_select(active.at(y)), dense.masked_select(active.at(y)))


def test_batch_norm_takes_mean_and_variance_of_active_positions_only():
    active, norm = some(), MaskedBatchNorm2d(3)
    x = pictures(2, 3, 8, 12) * 2 + 5
    y = norm(torch.where(active.at(x), x, 1e6), active)
    kept = x.permute(0, 2, 3, 1)[active.pixels]
    mean, variance = kept.mean(0), kept.var(0, unbiased=False)
    expected = (kept - mean) / (variance + norm.eps).sqrt()
    torch.testing.assert_close(y.permute(0, 2, 3, 1)[active.pixels], expected, rtol=1e-4, atol=1e-5)
    assert not y.masked_select(~active.at(y)).any()
    torch.testing.assert_close(norm.running_mean, 0.1 * mean)
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * kept.var(0), rtol=1e-5, atol=1e-6)
    assert norm.num_batches_tracked == 1


def test_batch_norm_in_evaluation_uses_its_running_statistics_and_keeps_them():
    active, norm = some(), MaskedBatchNorm2d(3)
    norm(pictures(2, 3, 8, 12), active)
    norm.eval()
    x, before = pictures(2, 3, 8, 12, seed=1), norm.running_mean.clone()
    plain = nn.BatchNorm2d(3).eval()
    plain.load_state_dict(norm.state_dict())
    torch.testing.assert_close(norm(x, active), only_active(plain(x), active))
    assert torch.equal(norm.running_mean, before)


def test_gradients_of_batch_norm_are_those_of_its_formula():
    active, norm = some(1, 4, 6), MaskedBatchNorm2d(3).double()
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    assert torch.autograd.gradcheck(lambda x: norm(x, active), pictures(1, 3, 4, 6).double().requires_grad_())


def test_batch_norm_over_processes_is_that_of_one_process_with_all_rows(monkeypatch):
    """Two processes with the same rows: sums are twice those of one, statistics and gradients the same."""
    import torch.distributed.nn.functional as communication

    active, x = some(), pictures(2, 3, 8, 12).requires_grad_()
    one, two = MaskedBatchNorm2d(3), MaskedBatchNorm2d(3)
    pair = Active(active.pixels.repeat(2, 1, 1))
    expected = one(x.repeat(2, 1, 1, 1), pair)
    (slope,) = torch.autograd.grad(expected.pow(3).sum() / 2, x)  # each row stands there twice
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(communication, "all_reduce", lambda tensor: 2 * tensor)
    found = two(x, active)
    torch.testing.assert_close(found, expected[:2], rtol=1e-4, atol=1e-5)
    for name, value in one.state_dict().items():
        torch.testing.assert_close(two.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    (own,) = torch.autograd.grad(found.pow(3).sum(), x)
    torch.testing.assert_close(own, slope, rtol=1e-3, atol=1e-4)


def test_layer_norm_is_torch_s_at_active_positions_and_0_elsewhere():
    active, norm = some(), MaskedLayerNorm2d(3)
    x = pictures(2, 3, 8, 12)
    nn.init.ones_(norm.bias)
    expected = nn.functional.layer_norm(x.movedim(1, -1), (3,), norm.weight, norm.bias, 1e-6).movedim(-1, 1)
    torch.testing.assert_close(norm(x, active), only_active(expected, active))
    torch.testing.assert_close(norm(x), expected)


def test_means_are_those_of_the_active_positions_of_a_window():
    pixels = torch.tensor([[[True, False, True, True], [True, False, False, False]]])
    x = torch.tensor([[[[1.0, 9.0, 2.0, 4.0], [3.0, 9.0, 9.0, 9.0]]]])
    assert active_mean(x, Active(pixels), (2, 2)).flatten().tolist() == [2.0, 3.0]
    assert active_mean(x, Active(pixels)).item() == 2.5
    assert active_mean(x, Active(torch.zeros_like(pixels))).item() == 0.0
    assert active_mean(x, None).item() == pytest.approx(46 / 8)


@pytest.mark.parametrize("norm", [MaskedBatchNorm2d(4), MaskedLayerNorm2d(4)], ids=["batch", "layer"])
def test_half_precision_runs(norm):
    active = some()
    convolution = MaskedConv2d(4, 4, 3, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        y = norm(convolution(pictures(2, 4, 8, 12), active), active)
    assert y.isfinite().all()
    y.float().square().sum().backward()
    assert convolution.weight.grad.isfinite().all()
