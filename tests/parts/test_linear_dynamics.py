"""Learning of one feature in a deep linear chain: times in closed form, by quadrature and by integration."""

import pytest
import torch

from unmask.parts.ops.linear_dynamics import TARGETS, evolve, final_weight, latent_time, learning_time, quadrature

faithful = pytest.mark.faithful("jepa_linear_dynamics")


@faithful
@pytest.mark.parametrize(
    ("layers", "target", "time"),
    [(1, "latent", 20.944), (2, "latent", 2882.944), (1, "data", 2.445), (2, "data", 18.131)],
)
def test_times_are_those_worked_out_by_hand(layers, target, time):
    assert learning_time(1.0, 1.0, layers, target, start=0.05) == pytest.approx(
        time, abs=6e-4
    )  # three digits are given


@faithful
def test_a_high_coefficient_overtakes_a_high_covariance_only_where_the_own_representation_is_predicted():
    steep = {target: learning_time(0.95, 4.0, 2, target, 0.1) for target in TARGETS}
    broad = {target: learning_time(1.0, 1.0, 2, target, 0.1) for target in TARGETS}
    assert (broad["data"], steep["data"]) == pytest.approx((8.13, 9.29), abs=6e-3)
    assert (broad["latent"], steep["latent"]) == pytest.approx((388.9, 364.6), abs=6e-2)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_closed_form_is_the_integral(layers):
    exact = latent_time(1.3, 0.7, layers, 0.1, 0.5)
    assert quadrature(1.3, 0.7, layers, "latent", 0.1, 0.35) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("layers", [1, 2])
def test_integration_reaches_half_of_the_end_at_the_learning_time(target, layers):
    time = learning_time(1.2, 0.8, layers, target, 0.1)
    weight = evolve(torch.tensor([1.2]), torch.tensor([0.8]), layers, target, 0.1, torch.tensor([time]), steps=4000)
    end = final_weight(torch.tensor([0.8]), layers, target)
    assert float(weight / end) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("target", TARGETS)
def test_a_weight_at_its_end_stays(target):
    end = final_weight(torch.tensor([0.6], dtype=torch.float64), 2, target)
    stays = evolve(torch.tensor([1.0]), torch.tensor([0.6]), 2, target, float(end), torch.tensor([5.0]))
    torch.testing.assert_close(stays[0], end, atol=1e-7, rtol=0)  # 0.6 in single precision


def test_a_start_beyond_what_is_to_be_reached_is_refused():
    with pytest.raises(ValueError, match=r"a weight of 0\.3 does not grow to 0\.5 of its end, 0\.25"):
        learning_time(1.0, 0.5, 1, "latent", 0.3)
    with pytest.raises(ValueError, match="target 'x' is unknown"):
        learning_time(1.0, 0.5, 1, "x", 0.1)
