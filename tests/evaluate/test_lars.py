import math

import pytest
import torch
from torch import nn

from unmask.evaluate.lars import LARS, LinearLARS
from unmask.parts.ops.schedule import warmup_cosine


def test_a_step_moves_a_matrix_by_lr_times_trust_times_its_length():
    """Weight of length 5, gradient of length 10: the step is 2 * 0.001 * 5 along the gradient."""
    weight = nn.Parameter(torch.tensor([[3.0, 4.0]]))
    weight.grad = torch.tensor([[6.0, 8.0]])
    LARS([weight], lr=2.0).step()
    assert torch.allclose(weight, torch.tensor([[3.0 - 0.01 * 0.6, 4.0 - 0.01 * 0.8]]))


def test_momentum_adds_nine_tenths_of_the_last_step():
    weight = nn.Parameter(torch.tensor([[3.0, 4.0]]))
    solver = LARS([weight], lr=1.0)
    direction, first = torch.tensor([[0.6, 0.8]]), 0.001 * 5
    weight.grad = direction * 10
    solver.step()
    second = 0.9 * first + 0.001 * (5 - first)
    weight.grad = direction * 3
    solver.step()
    assert torch.allclose(weight, direction * (5 - first - second), atol=1e-6)


def test_a_bias_moves_by_its_plain_gradient():
    bias = nn.Parameter(torch.tensor([1.0, 2.0]))
    bias.grad = torch.tensor([0.5, -0.5])
    LARS([bias], lr=0.1, weight_decay=10.0).step()
    assert torch.allclose(bias, torch.tensor([0.95, 2.05]))


def test_decay_joins_the_gradient_before_its_length_is_taken():
    weight = nn.Parameter(torch.tensor([[3.0, 4.0]]))
    weight.grad = torch.zeros(1, 2)
    LARS([weight], lr=1.0, weight_decay=0.5).step()
    assert torch.allclose(weight, torch.tensor([[3.0, 4.0]]) * (1 - 0.001))


def test_the_rate_rises_linearly_and_falls_as_a_cosine():
    assert warmup_cosine(0, 90, 10) == 0
    assert warmup_cosine(5, 90, 10) == 0.5
    assert warmup_cosine(10, 90, 10) == 1
    assert math.isclose(warmup_cosine(50, 90, 10), 0.5)
    assert math.isclose(warmup_cosine(90, 90, 10), 0, abs_tol=1e-12)


def test_planted_clusters_are_separated(points):
    (head,) = LinearLARS().fit(*points(400, seed=1), *points(100, seed=2), 4)
    test, labels = points(200, seed=3)
    assert float((head(test).argmax(-1) == labels).float().mean()) > 0.95


def test_the_head_has_no_affine_norm_and_the_epsilon_of_mae(points):
    head = LinearLARS().head(*points(40), 4, 0.1)
    norm, linear = head
    assert norm.weight is None
    assert norm.eps == 1e-6
    assert not any(parameter.requires_grad for parameter in linear.parameters())
    assert not head.training


def test_the_first_weights_have_a_deviation_of_a_hundredth():
    head = LinearLARS(epochs=0).head(torch.randn(20, 500), torch.arange(20), 20, 0.1)
    assert float(head[1].weight.std()) == pytest.approx(0.01, rel=0.03)  # 10,000 draws
    assert not head[1].bias.any()


def test_the_same_seed_gives_the_same_head(points):
    first, second = (LinearLARS(seed=3).head(*points(60), 4, 1.0) for _ in range(2))
    assert torch.equal(first[1].weight, second[1].weight)


def test_the_rate_is_chosen_on_validation(points):
    """A rate of 0 leaves random weights; the probe must not take it."""
    (head,) = LinearLARS(rates=(0.0, 10.0)).fit(*points(400, seed=1), *points(100, seed=2), 4)
    assert float(head[1].weight.norm()) > 0.2
