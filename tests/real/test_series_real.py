"""Time series on the real transformer temperatures: parts as published, trained, measured."""

import json

import numpy as np
import pytest

from small_run import unmask, without_drawing  # noqa: F401
from unmask.data.series import open_series
from unmask.data.series_card import inspect_series

pytestmark = pytest.mark.real


@pytest.fixture(scope="module", params=["ETTh1.csv", "ETTh2.csv"])
def table(request, data_folder):
    return data_folder / f"ett/{request.param}"


def test_parts_have_the_published_numbers_of_windows(table):
    source = open_series(table, 512, 96)
    assert {name: len(places) for name, places in source.splits().items()} == {
        "train": 8033,
        "validation": 2785,
        "test": 2785,
    }
    card = inspect_series(source)
    assert card.rows == {table.name: (8640, 2880, 2880)}
    assert (card.step, len(card.channels), card.missing, card.constant) == ("1 hour", 7, {}, ())
    assert card.published == (table.name,)


def test_standardised_training_rows_have_mean_0_and_deviation_1(table):
    source = open_series(table, 512)
    rows = (source.training_rows() - np.array(inspect_series(source).mean)) / np.array(inspect_series(source).std)
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(rows.std(0), 1, atol=1e-9)


@pytest.mark.slow
@pytest.mark.works("pits")
@pytest.mark.usefixtures("without_drawing")
def test_a_run_forecasts_far_better_than_repeating_the_last_value(table, tmp_path, capsys):
    sizes = ["--set", "length=192", "--set", "width=32"]
    options = [*sizes, "--steps", 20, "--batch", 32, "--monitor-every", 20, "--quiet"]
    assert unmask("pretrain", table, "--method", "pits", "--out", tmp_path / "run", *options) == 0
    capsys.readouterr()
    assert unmask("evaluate", tmp_path / "run", "--limit", 300, "--json") == 0
    scores = json.loads(capsys.readouterr().out)["measures"]["forecasting"]["scores"]
    assert scores["frozen tokens, ridge"]["mse"] < 0.7 * scores["last value repeated"]["mse"]
