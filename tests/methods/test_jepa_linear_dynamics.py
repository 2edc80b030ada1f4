"""Deep linear networks: full matrices follow the equations of single weights, and nothing flows through the target."""

import pytest
import torch

from small_run import unmask, without_drawing  # noqa: F401
from small_synthetic import pretrain_synthetic
from unmask.core import Context
from unmask.evaluate.gradient_flow import flow
from unmask.methods.jepa_linear_dynamics import DeepLinear, JepaLinearDynamics, turned
from unmask.parts.ops.linear_dynamics import TARGETS, evolve, final_weight

faithful = pytest.mark.faithful("jepa_linear_dynamics")
COVARIANCE = torch.tensor([1.0, 0.8, 1.2, 0.6], dtype=torch.float64)
COEFFICIENT = torch.tensor([0.9, 0.6, 0.4, 1.5], dtype=torch.float64)
MOMENTS = [row.diag() for row in (COVARIANCE / COEFFICIENT, COVARIANCE, COVARIANCE * COEFFICIENT)]


def network(target: str, layers: int = 2, scale: float = 0.3, features: int = 4) -> JepaLinearDynamics:
    torch.manual_seed(3)
    return JepaLinearDynamics(DeepLinear(features, layers, scale), target).double()


def learned(method: JepaLinearDynamics, times, step: float = 0.01):
    """The strengths at these times of gradient descent on the exact moments."""
    parameters = list(method.parameters())
    for _ in flow(lambda: method.expected(*MOMENTS), parameters, step, times):
        yield method.strengths()


@faithful
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_full_matrices_follow_the_equations_of_single_weights(target, layers):
    times = torch.tensor([1.0, 3.0, 6.0])
    found = torch.stack(list(learned(network(target, layers), times.tolist())))
    weights = evolve(COVARIANCE, COEFFICIENT, layers, target, 0.3, times, steps=200)
    torch.testing.assert_close(found, weights**layers, atol=0, rtol=0.01)  # the error of the step, 0.01


@faithful
@pytest.mark.parametrize("target", TARGETS)
def test_balance_is_kept(target):
    method = network(target, scale=0.5)
    assert method.imbalance() < 1e-6  # rotations in single precision
    list(learned(method, [10.0], step=0.005))
    assert method.imbalance() < 5e-3  # a flow keeps it; steps lose a share of their square
    assert float(method.strengths().max()) > 0.3


@faithful
@pytest.mark.parametrize("target", TARGETS)
def test_the_end_of_learning_is_a_fixed_point(target):
    method = network(target)
    end = final_weight(COEFFICIENT, 2, target)
    with torch.no_grad():
        first, second = (turned(4).double() for _ in range(2))
        for weight, turns in zip(
            method.encoder.weights, ((torch.eye(4).double(), first), (first, second)), strict=True
        ):
            weight.copy_(turns[1] @ end.diag() @ turns[0].T)
        method.predictor.copy_(second @ end.diag() @ second.T if target == "latent" else end.diag() @ second.T)
    gradients = torch.autograd.grad(method.expected(*MOMENTS), list(method.parameters()))
    assert max(float(g.abs().max()) for g in gradients) < 1e-6  # rotations in single precision
    predicted, measured = method.compared(COVARIANCE, COEFFICIENT)["strength"]
    torch.testing.assert_close(measured, predicted, atol=1e-6, rtol=0)


@faithful
def test_no_gradient_flows_through_the_target():
    """The gradient is that of finite differences in which the target is held."""
    method, batch = network("latent", scale=1.0), {"vector": torch.randn(16, 4).double()}
    batch["partner"] = batch["vector"] + 0.3 * torch.randn(16, 4).double()
    held = method.encoder(batch["partner"]).detach()
    weight = method.encoder.weights[0]
    (gradient,) = torch.autograd.grad(method.losses(batch, Context())["prediction"], weight)

    def value(change: float) -> float:
        with torch.no_grad():
            weight[1, 2] += change
            prediction = method.encoder(batch["vector"]) @ method.predictor.T
            weight[1, 2] -= change
            return float(0.5 * (prediction - held).square().sum(-1).mean())

    assert (value(1e-5) - value(-1e-5)) / 2e-5 == pytest.approx(float(gradient[1, 2]), rel=1e-6)


@faithful
@pytest.mark.parametrize("target", TARGETS)
def test_the_expected_loss_is_that_of_the_moments_of_a_batch(target):
    method, (x, y) = network(target, scale=0.7), torch.randn(2, 50, 4).double()
    moments = [a.T @ b / 50 for a, b in ((x, x), (x, y), (y, y))]
    loss = method.losses({"vector": x, "partner": y}, Context())["prediction"]
    torch.testing.assert_close(method.expected(*moments), loss)


def test_features_are_the_products_of_the_layers():
    method, x = network("latent", layers=3), torch.randn(5, 4).double()
    found = method.features({"vector": x})
    assert len(found.blocks) == 3
    torch.testing.assert_close(found.pooled, method.encoder(x))
    torch.testing.assert_close(found.blocks[0], x @ method.encoder.weights[0].T)


def test_half_precision_of_the_training_changes_nothing():
    method, x = network("latent", scale=1.0).float(), torch.randn(8, 4)
    plain = method.losses({"vector": x, "partner": x}, Context())["prediction"]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(method.losses({"vector": x, "partner": x}, Context())["prediction"], plain)


def test_a_rotation_is_one():
    turn = turned(5).double()
    torch.testing.assert_close(turn @ turn.T, torch.eye(5).double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: DeepLinear(2, 0), "0 layers of 2 features are no network"),
        (lambda: DeepLinear(2, 2, 0.0), "scale 0.0 leaves the network at 0"),
        (lambda: JepaLinearDynamics(DeepLinear(), "both"), "target 'both' is unknown; choose one of latent, data"),
    ],
)
def test_settings_that_cannot_be(build, words):
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.works("jepa_linear_dynamics")
@pytest.mark.usefixtures("without_drawing")
def test_it_trains_resumes_and_is_measured_on_samples_of_its_equations(tmp_path, capsys):
    run = tmp_path / "run"
    assert pretrain_synthetic(run, "--steps", 4, "--monitor-every", 4, "--lr", 0.1) == 0
    assert unmask("view", run, "--out", tmp_path / "view.png") == 0
    assert unmask("embed", run, "--out", tmp_path / "features.npy") == 0
    capsys.readouterr()
    assert unmask("evaluate", run) == 0
    assert "at the end" in capsys.readouterr().out
