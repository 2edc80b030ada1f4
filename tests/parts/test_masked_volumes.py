"""Layers of volumes that compute at active positions only, against torch's own on the values that are left."""

import pytest
import torch
from torch import nn

from unmask.parts.nets.masked_conv import (
    Active,
    MaskedConv3d,
    MaskedInstanceNorm3d,
    active_mean,
    active_rows,
    from_rows,
)


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def some() -> Active:
    return Active(torch.rand(2, 4, 6, 8, generator=torch.Generator().manual_seed(3)) < 0.4)


def test_instance_norm_is_torch_s_on_the_gathered_visible_values():
    active, norm = some(), MaskedInstanceNorm3d(3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = values(2, 3, 4, 6, 8) * 2 + 50
    found = norm(torch.where(active.at(x), x, 1e6), active)
    for sample in range(2):
        kept = x[sample][:, active.pixels[sample]]
        plain = nn.functional.instance_norm(kept[None], weight=norm.weight, bias=norm.bias, eps=norm.eps)[0]
        torch.testing.assert_close(found[sample][:, active.pixels[sample]], plain, rtol=1e-4, atol=1e-4)
    assert not found.masked_select(~active.at(found)).any()


@pytest.mark.parametrize("affine", [True, False])
def test_where_everything_is_active_instance_norm_is_torch_s_under_the_same_names(affine):
    norm, plain = MaskedInstanceNorm3d(3, affine=affine), nn.InstanceNorm3d(3, affine=affine)
    plain.load_state_dict(norm.state_dict())
    x = values(2, 3, 4, 6, 8)
    assert torch.equal(norm(x), plain(x))
    torch.testing.assert_close(norm(x, Active(torch.ones(2, 4, 6, 8, dtype=torch.bool))), plain(x))


def test_convolutions_leave_0_at_inactive_positions_and_torch_s_values_elsewhere():
    active, layer = some(), MaskedConv3d(3, 5, 3, padding=1)
    x = values(2, 3, 4, 6, 8)
    found, dense = layer(x, active), layer(x)
    assert not found.masked_select(~active.at(found)).any()
    assert torch.equal(found.masked_select(active.at(found)), dense.masked_select(active.at(found)))


def test_rows_and_means_are_those_of_active_voxels():
    active, x = some(), values(2, 3, 4, 6, 8)
    rows = active_rows(x, active)
    assert len(rows) == active.pixels.sum()
    assert torch.equal(from_rows(rows, x, active), x * active.at(x))
    mean = active_mean(x, active).flatten(1)
    torch.testing.assert_close(mean[1], x[1][:, active.pixels[1]].mean(1))


def test_positions_larger_than_a_cell_are_active_wherever_anything_is_real():
    pixels = torch.zeros(1, 4, 4, 4, dtype=torch.bool)
    pixels[0, 0, 0, 0] = True
    real = torch.ones_like(pixels)
    real[0, 2:] = False
    coarse = values(1, 3, 2, 2, 2)
    assert Active(pixels).at(coarse).sum() == 1
    assert Active(pixels, 1).at(coarse).sum() == 8
    assert Active(pixels, 1, real).at(coarse).sum() == 4
    assert Active(pixels, 2, real).at(coarse).sum() == 1
