"""The Chamfer distance on cases worked by hand."""

import pytest
import torch

from unmask.parts.losses.chamfer import chamfer

POINT, OTHER = torch.zeros(1, 1, 3), torch.tensor([[[1.0, 0.0, 0.0]]])


def test_a_set_is_at_distance_0_from_itself_in_any_order():
    points = torch.randn(3, 20, 3, generator=torch.Generator().manual_seed(0))
    assert chamfer(points, points.flip(1)) == 0
    assert chamfer(points, points.flip(1), "plain") < 1e-15


def test_two_points_one_apart_are_at_2_squared_and_1_plain():
    assert chamfer(POINT, OTHER) == 2
    assert chamfer(POINT, OTHER, "plain") == 1


def test_each_side_is_averaged_over_its_own_points():
    several = torch.tensor([[[0.0, 0, 0], [3.0, 0, 0]]])
    assert chamfer(POINT, several) == pytest.approx(0 + (0 + 9) / 2)
    assert chamfer(several, POINT, "plain") == pytest.approx((1.5 + 0) / 2)


def test_the_gradient_pulls_each_point_to_its_nearest_and_nothing_else():
    prediction = torch.tensor([[[0.0, 0, 0], [5.0, 0, 0]]], requires_grad=True)
    chamfer(prediction, torch.tensor([[[1.0, 0, 0], [5.0, 0, 0]]])).backward()
    assert prediction.grad[0].tolist() == [[-2.0, 0, 0], [0, 0, 0]]  # half of it from either side


def test_the_gradient_is_that_of_the_whole_table_of_distances():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(4, n, 3, generator=generator, dtype=torch.float64) for n in (6, 9))
    first = first.float().requires_grad_()
    ours = torch.autograd.grad(chamfer(first, second.float()), first)[0]
    square = (first.unsqueeze(2) - second.float().unsqueeze(1)).square().sum(-1)
    (expected,) = torch.autograd.grad(square.amin(2).mean() + square.amin(1).mean(), first)
    torch.testing.assert_close(ours, expected)


def test_coinciding_points_have_a_finite_gradient_of_the_plain_distance():
    points = torch.zeros(1, 4, 3, requires_grad=True)
    chamfer(points, torch.zeros(1, 4, 3), "plain").backward()
    assert points.grad.isfinite().all()


def test_no_sets_at_all_have_a_loss_of_0():
    assert chamfer(torch.zeros(0, 4, 3, requires_grad=True), torch.zeros(0, 4, 3)) == 0


def test_an_unknown_kind_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="kind 'cubic' is unknown; choose one of squared, plain"):
        chamfer(POINT, OTHER, "cubic")
