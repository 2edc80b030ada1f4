"""Forecasts from frozen tokens, by rules without a network, and by fine-tuning."""

import pytest
import torch

from unmask.core import Batch, Features, Method
from unmask.evaluate.forecast_tuning import tune
from unmask.evaluate.forecasting import (
    RAW,
    REPEATED,
    TOKENS,
    errors,
    fitted,
    forecasting,
    raw_window,
    repeated,
    solved,
    sums,
)
from unmask.methods.pits import PITS, PatchPerceptron
from unmask.parts.ops.series import instance_statistics

LENGTH, HORIZON = 24, 4


def waves(count: int, seed: int, noise: float = 0.0) -> list[Batch]:
    """Sums of two sines of every phase and size: linear rules forecast them without error."""
    generator = torch.Generator().manual_seed(seed)
    size, phase = torch.rand(2, count, 2, 1, 2, generator=generator)
    time = torch.arange(LENGTH + HORIZON).float()[:, None]
    rows = sum((size[:, k] + 0.5) * torch.sin(time / (2 + k) + 7 * phase[:, k]) for k in range(2))
    rows = rows + noise * torch.randn(rows.shape, generator=generator)
    return [{"series": part[:, :LENGTH], "future": part[:, LENGTH:]} for part in rows.split(16)]


@pytest.fixture
def method() -> PITS:
    torch.manual_seed(0)
    return PITS(PatchPerceptron(LENGTH, 6, width=16)).eval()


def test_repeating_the_last_value_errs_by_what_changes_after_it():
    series = torch.zeros(1, LENGTH, 1)
    batch = {"series": series, "future": torch.tensor([1.0, -1.0, 2.0, 0.0]).reshape(1, 4, 1)}
    assert errors(repeated, [batch], "cpu").scores == {"mse": 6 / 4, "mae": 1.0}


def test_a_ridge_on_raw_windows_continues_sines():
    head, strength = fitted(raw_window, waves(300, 0), waves(50, 1), "cpu")
    found = errors(head, waves(100, 2), "cpu").scores
    assert found["mse"] < 0.02 * errors(repeated, waves(100, 2), "cpu").scores["mse"]
    assert strength < 1


def test_the_ridge_minimises_the_error_in_the_units_of_the_batch():
    """As least squares of the weighted rows, solved by another way."""
    train = waves(100, 0, noise=0.3)
    square, cross = sums(raw_window, train, "cpu")
    strength = 0.01
    weight = solved(square, cross, strength).double()
    whole = {key: torch.cat([batch[key] for batch in train]) for key in train[0]}
    mean, deviation = instance_statistics(whole["series"])
    x = torch.cat([raw_window(whole), torch.ones(len(mean), 2, 1)], -1) * deviation.transpose(1, 2)
    y = (whole["future"] - mean).transpose(1, 2)
    x, y = x.flatten(0, 1).double(), y.flatten(0, 1).double()
    penalty = strength * (x.T @ x).diagonal()[:-1].mean()
    slope = x.T @ (x @ weight - y) + penalty * torch.cat([weight[:-1], torch.zeros_like(weight[-1:])])
    assert slope.abs().max() < 1e-3 * (x.T @ y).abs().max()


def test_everything_is_measured_beside_rules_that_need_no_network(method):
    found = forecasting(method, waves(200, 0), waves(40, 1), waves(60, 2))
    assert set(found) == {TOKENS, RAW, REPEATED}
    assert found[TOKENS]["mse"] < found[REPEATED]["mse"]
    assert all(scores["mse"] > 0 and scores["mae"] > 0 for scores in found.values())


def test_level_and_scale_of_a_window_move_its_forecast_with_it(method):
    head, _ = fitted(raw_window, waves(200, 0), waves(40, 1), "cpu")
    (batch, *_) = waves(16, 2)
    moved = {"series": 100 + 3 * batch["series"], "future": batch["future"]}
    torch.testing.assert_close(head(moved), 100 + 3 * head(batch), atol=2e-3, rtol=1e-4)


class WithoutChannels(Method):
    def features(self, batch: Batch) -> Features:
        return Features(batch["series"].mean(1))


def test_a_network_without_tokens_by_channel_is_refused():
    with pytest.raises(ValueError, match="no tokens for every channel"):
        forecasting(WithoutChannels(), waves(16, 0), waves(16, 1), waves(16, 2))


def test_missing_parts_are_refused(method):
    for parts, words in (
        (([], waves(16, 1), waves(16, 2)), "no training windows"),
        ((waves(16, 0), [], waves(16, 2)), "no validation windows"),
        ((waves(16, 0), waves(16, 1), []), "no windows to forecast"),
    ):
        with pytest.raises(ValueError, match=words):
            forecasting(method, *parts)
    with pytest.raises(ValueError, match="no training windows"):
        tune(method, [], waves(16, 1), waves(16, 2), steps=1)


def test_fine_tuning_learns_and_leaves_the_network_as_it_is(method):
    before = {name: value.clone() for name, value in method.state_dict().items()}
    found = tune(method, waves(64, 0) * 40, waves(32, 1), waves(32, 2), steps=32, epochs=4, head_epochs=1, lr=1e-2)
    assert len(found.validation) == 5
    assert min(found.validation[1:]) < found.validation[0]
    assert found.test["mse"] < errors(repeated, waves(32, 2), "cpu").scores["mse"]
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_the_best_epoch_on_validation_is_tested(method):
    """Nothing is trained at a rate of almost nothing: all epochs are alike, and the test error is that of any."""
    found = tune(method, waves(16, 0) * 2, waves(32, 1), waves(32, 1), steps=1, epochs=1, head_epochs=1, lr=1e-12)
    assert found.test["mse"] == pytest.approx(min(found.validation))
