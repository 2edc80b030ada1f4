"""Experts: one for each sample, alike at the start."""

import torch

from formulas import pictures
from unmask.parts.nets.experts import Experts, transform_by_experts
from unmask.parts.nets.transformer import Transformer


def parts():
    torch.manual_seed(0)
    trunk = Transformer(8, 2, 2, layer_scale=0.5)
    return trunk, Experts(trunk.blocks[1], 3), pictures(4, 5, 8)


def test_copies_with_weight_one_are_the_dense_network_exactly():
    trunk, experts, x = parts()
    route = (torch.tensor([0, 2, 1, 2]), torch.ones(4))
    torch.testing.assert_close(transform_by_experts(trunk, x, {1: experts}, {1: route}), trunk(x), rtol=0, atol=1e-6)


def test_every_sample_meets_its_own_expert_times_its_weight():
    trunk, experts, x = parts()
    with torch.no_grad():
        for number, other in enumerate(experts.others):
            other[2].bias += number + 1.0
    expert, weight = torch.tensor([2, 0, 1, 2]), torch.tensor([1.0, 0.5, 0.25, 2.0])
    found = experts(trunk.blocks[1], x, expert, weight)
    plain = trunk.blocks[1].mlp(x)
    expected = (plain + expert[:, None, None]) * weight[:, None, None]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_an_idle_expert_has_the_gradient_zero_also_in_half_precision():
    for half in (False, True):
        trunk, experts, x = parts()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            experts(trunk.blocks[1], x, torch.tensor([0, 0, 1, 0]), torch.ones(4)).sum().backward()
        assert all(p.grad is not None and not p.grad.any() for p in experts.others[1].parameters())
        assert all(p.grad.any() for p in experts.others[0].parameters())


def test_copying_makes_them_alike_again():
    trunk, experts, x = parts()
    with torch.no_grad():
        trunk.blocks[1].mlp[2].bias += 1
    experts.copy_from(trunk.blocks[1])
    found = experts(trunk.blocks[1], x, torch.tensor([0, 2, 1, 2]), torch.ones(4))
    torch.testing.assert_close(found, trunk.blocks[1].mlp(x), rtol=0, atol=1e-6)
