"""Positions: the table of MAE's released code, on any grid."""

import json
from pathlib import Path

import pytest
import torch

from unmask.parts.nets.positions import LinePositions, Positions
from unmask.parts.ops.positions import sincos, sincos_grid

RECORDED = json.loads((Path(__file__).parents[1] / "methods" / "mae_reference.json").read_text())["positions"]


def test_the_table_equals_the_released_one_with_the_column_first():
    # 1e-6: both are computed in float64 and rounded to float32 once
    table = sincos_grid(tuple(RECORDED["grid"]), RECORDED["width"])
    for row, values in RECORDED["rows"].items():
        expected = torch.tensor(values)
        assert torch.allclose(table[int(row), RECORDED["columns"]], expected, rtol=0, atol=1e-6)
    total = (torch.arange(len(table))[:, None] * table.double()).sum().item()
    assert total == pytest.approx(RECORDED["sum_of_row_times_value"], rel=1e-6)


def test_the_first_half_knows_the_column_and_the_second_the_row():
    table = sincos_grid((3, 5), 16).reshape(3, 5, 16)
    assert torch.equal(table[0, :, :8], table[2, :, :8])
    assert torch.equal(table[:, 0, 8:], table[:, 4, 8:])
    assert torch.equal(table[:3, 1, 8:], table[1, :3, :8])


def test_frequencies_fall_from_one_to_the_temperature():
    values = sincos(torch.tensor([1.0]), 4)[0].double()
    expected = torch.tensor([1.0, 0.01]).double()
    assert torch.allclose(values, torch.cat([expected.sin(), expected.cos()]), atol=1e-12)


@pytest.mark.parametrize("grid", [(1, 1), (1, 7), (7, 1), (2, 3), (30, 30), (4, 3, 2)])
def test_any_grid_of_any_number_of_axes_has_a_table(grid):
    width = 12 * len(grid)
    table = sincos_grid(grid, width)
    assert table.shape == (torch.Size(grid).numel(), width)
    assert len(table.unique(dim=0)) == len(table)


def test_widths_that_the_axes_cannot_share_are_refused():
    with pytest.raises(ValueError, match="multiple of 4"):
        sincos_grid((2, 2), 10)
    with pytest.raises(ValueError, match="even width"):
        sincos(torch.zeros(1), 3)


def test_fixed_positions_are_exact_on_another_grid_and_not_stored():
    positions = Positions((4, 4), 16)
    assert torch.equal(positions((2, 7)), sincos_grid((2, 7), 16))
    assert not positions.state_dict()
    assert not list(positions.parameters())


def test_learned_positions_are_resized_smoothly():
    positions = Positions((4, 4), 8, "learned")
    ramp = torch.arange(4.0).repeat_interleave(4).unsqueeze(-1).expand(16, 8)
    positions.table.data.copy_(ramp)
    assert torch.equal(positions((4, 4)), ramp)
    resized = positions((8, 4)).reshape(8, 4, 8)
    assert (resized.diff(dim=0) > 0).all()
    # 1e-5: bicubic weights sum to one only up to float32
    assert torch.allclose(resized[:, :1].expand_as(resized), resized, atol=1e-5)


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="rotary"):
        Positions((2, 2), 8, "rotary")


def test_a_line_has_sines_and_cosines_side_by_side_and_any_length():
    positions = LinePositions(6, 8)
    apart = sincos(torch.arange(6, dtype=torch.float64), 8).float()
    assert torch.equal(positions(6)[:, 0::2], apart[:, :4])
    assert torch.equal(positions(6)[:, 1::2], apart[:, 4:])
    assert torch.equal(positions(9)[:6], positions(6))
    assert not positions.state_dict()
