"""LAMB: one step by hand, many steps against timm, and its state through a checkpoint's hands."""

import copy

import pytest
import torch

from unmask.train.lamb import Lamb


def test_a_first_step_is_as_long_as_the_tensor_times_the_rate():
    """The direction is the sign of the gradient plus decay; its length is the tensor's, 5."""
    parameter = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    parameter.grad = torch.tensor([2.0, -1.0])
    Lamb([parameter], lr=0.1, weight_decay=0.5, eps=0.0).step()
    direction = torch.tensor([1.0 + 1.5, -1.0 + 2.0])
    expected = torch.tensor([3.0, 4.0]) - 0.1 * 5 * direction / direction.norm()
    torch.testing.assert_close(parameter.detach(), expected)


def test_without_decay_it_is_adam():
    torch.manual_seed(0)
    ours = torch.nn.Parameter(torch.randn(5))
    theirs = copy.deepcopy(ours)
    pair = Lamb([ours], lr=0.01, weight_decay=0.0), torch.optim.Adam([theirs], lr=0.01, eps=1e-6)
    for _ in range(5):
        ours.grad = torch.randn(5)
        theirs.grad = ours.grad.clone()
        for optimiser in pair:
            optimiser.step()
    torch.testing.assert_close(ours, theirs)


def test_a_tensor_of_zeros_can_leave_zero():
    parameter = torch.nn.Parameter(torch.zeros(3, 2))
    parameter.grad = torch.ones(3, 2)
    Lamb([parameter], lr=0.1, weight_decay=0.1).step()
    torch.testing.assert_close(parameter.detach(), torch.full((3, 2), -0.1), rtol=1e-4, atol=0)


@pytest.mark.parametrize("betas", [(0.9, 0.95), (0.9, 0.999)])
def test_twenty_steps_are_those_of_timm(betas):
    timm = pytest.importorskip("timm.optim")
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(4, 3)), torch.nn.Parameter(torch.randn(4))]
    theirs = copy.deepcopy(ours)

    def groups(pair):
        return [{"params": pair[:1], "weight_decay": 0.04}, {"params": pair[1:], "weight_decay": 0.0}]

    both = (
        Lamb(groups(ours), lr=0.02, betas=betas),
        timm.Lamb(groups(theirs), lr=0.02, betas=betas, max_grad_norm=None),
    )
    for _ in range(20):
        for own, other in zip(ours, theirs, strict=True):
            own.grad = torch.randn_like(own)
            other.grad = own.grad.clone()
        for optimiser in both:
            optimiser.step()
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-6)


def test_a_saved_state_goes_on_as_the_unsaved_one():
    torch.manual_seed(0)
    first = torch.nn.Parameter(torch.randn(4, 3))
    optimiser = Lamb([first], lr=0.02)
    first.grad = torch.randn(4, 3)
    optimiser.step()
    second = copy.deepcopy(first)
    other = Lamb([second], lr=0.02)
    other.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    first.grad = second.grad = torch.randn(4, 3)
    optimiser.step()
    other.step()
    assert torch.equal(first, second)
