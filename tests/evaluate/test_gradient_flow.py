"""Small steps of gradient descent beside the flow that they follow."""

import math

import pytest
import torch
from torch import nn

from unmask.evaluate.gradient_flow import flow


def test_a_square_decays_as_its_flow_does():
    weight = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    times = list(flow(lambda: 0.5 * weight.square().sum(), [weight], 1e-3, [0.5, 1.0]))
    assert times == pytest.approx([0.5, 1.0])
    assert weight.item() == pytest.approx(2 * math.exp(-1), rel=1e-3)  # half a step of relative error


def test_it_stops_to_be_looked_at():
    weight = nn.Parameter(torch.ones(1))
    seen = [(time, weight.item()) for time in flow(lambda: -weight.sum(), [weight], 0.5, [0.0, 1.0])]
    assert seen == [(0.0, 1.0), (1.0, 2.0)]


def test_steps_that_are_too_long_are_refused():
    weight = nn.Parameter(torch.tensor([2.0]))
    with pytest.raises(ValueError, match=r"the loss is .* after \d+ steps of 10\.0; take shorter ones"):
        list(flow(lambda: weight.pow(4).sum(), [weight], 10.0, [100.0]))
    with pytest.raises(ValueError, match="a step of 0"):
        list(flow(lambda: weight.sum(), [weight], 0.0, [1.0]))
