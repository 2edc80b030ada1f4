"""The verbs on time series: trained, taken up again, looked at, measured, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from small_run import unmask, without_drawing  # noqa: F401
from small_series import NETWORK, make_series, pretrain_series
from unmask.app.report import write_report
from unmask.app.runs import load, read_card
from unmask.data.series_card import SeriesCard
from whole_run import ends_alike

works = pytest.mark.works("pits")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_series(tmp_path_factory.mktemp("series") / "waves.csv")


@pytest.fixture(scope="module")
def run(tmp_path_factory, data) -> Path:
    """The folder of a run of four steps; not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "run"
    options = ["--steps", 4, "--save-every", 2, "--monitor-every", 4, "--log-every", 1]
    assert pretrain_series(data, out, *options) == 0
    return out


@works
def test_a_run_holds_its_card_numbers_and_curves(run, data):
    card = read_card(run)
    assert isinstance(card, SeriesCard)
    assert (card.origin, card.channels, card.step) == (str(data), ("load", "heat"), "1 hour")
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    held = [row for row in rows if row["kind"] == "held_out"]
    assert [row["step"] for row in held] == [0, 4]
    assert all(np.isfinite(row[name]) for row in held for name in ("loss/contrast", "loss/reconstruction", "rankme"))
    assert len(list((run / "pictures").glob("*.png"))) == 2
    assert json.loads((run / "config.json").read_text())["settings"]["length"] == 24


@works
@pytest.mark.usefixtures("without_drawing")
def test_a_run_taken_up_from_its_middle_ends_with_the_same_bits(run, tmp_path):
    ends_alike(run, tmp_path / "again")


@pytest.mark.usefixtures("without_drawing")
def test_changed_values_are_noticed_when_a_run_is_taken_up(tmp_path, sentence):
    data = make_series(tmp_path / "waves.csv")
    assert pretrain_series(data, tmp_path / "run", "--steps", 2, "--save-every", 1) == 0
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-00000002")
    lines = data.read_text().splitlines()
    data.write_text("\n".join([*lines[:5], lines[5].rsplit(",", 1)[0] + ",9.9", *lines[6:]]) + "\n")
    assert "the same names, other values" in sentence("resume", tmp_path / "run", "--quiet")


def test_inspect_says_what_training_would_do(data, capsys):
    assert unmask("inspect", data, *NETWORK) == 0
    said = capsys.readouterr().out
    for words in ("377 of 24 rows", "280 + 40 + 80 rows", "1 hour", "2: load, heat", "windows/s", "parts of the data"):
        assert words in said


@works
def test_a_run_can_be_drawn(run, tmp_path):
    assert unmask("view", run, "--images", 2, "--out", tmp_path / "view.png") == 0
    assert min(Image.open(tmp_path / "view.png").size) > 300


@works
def test_features_are_written_with_the_names_of_the_windows(run, tmp_path):
    import pyarrow.parquet as parquet

    assert unmask("embed", run, "--out", tmp_path / "features.parquet") == 0
    table = parquet.read_table(tmp_path / "features.parquet").to_pydict()
    assert table["name"][0] == "waves.csv[000]"
    assert len(table["vector"]) == 377
    assert len(table["vector"][0]) == 2 * 8


@works
def test_forecasting_is_what_is_measured_where_nothing_is_named(run, data, tmp_path, capsys):
    own = Path(shutil.copytree(run, tmp_path / "run"))
    capsys.readouterr()
    assert unmask("evaluate", own, "--horizon", 6, "--json") == 0
    found = json.loads(capsys.readouterr().out)["measures"]["forecasting"]
    assert (found["horizon"], found["windows"]) == (6, 75)
    scores = found["scores"]
    assert scores["raw window, ridge"]["mse"] < scores["last value repeated"]["mse"]
    assert unmask("evaluate", own, data, "--with", "forecasting", "--horizon", 6) == 0
    assert "the next 6 rows of 75 test windows" in capsys.readouterr().out
    page = write_report(own).read_text()
    assert "last value repeated" in page
    assert "windows" in page
    assert "finetune" not in page


def test_windows_without_a_value_are_left_out_of_forecasts_and_named(run, tmp_path, capsys):
    gap = make_series(tmp_path / "gap.csv", missing=390)
    assert unmask("evaluate", Path(shutil.copytree(run, tmp_path / "run")), gap, "--horizon", 6) == 0
    assert "windows that cannot be used: gap.csv[" in capsys.readouterr().out


def test_info_describes_the_run(run, capsys):
    assert unmask("info", run) == 0
    assert "pits" in capsys.readouterr().out


def test_what_is_for_pictures_is_refused(run, tmp_path, sentence):
    assert "works on windows, and finetune is for pictures" in sentence("finetune", run)
    assert "analyse is for pictures" in sentence("analyse", run)
    for target in ("timm", "transformers", "onnx", "torch"):
        said = sentence("export", run, "--to", target, "--out", tmp_path / "out")
        assert f"export to {target} is for pictures" in said
    assert "view --masks is for pictures" in sentence("view", run, "--masks", "random")
    assert "does not make new windows" in sentence("generate", run)
    assert "no labels" in sentence("evaluate", run, "--with", "knn", "--limit", 20)


def test_what_does_not_fit_is_refused_before_training(data, tmp_path, sentence):
    def refused(data, *more) -> str:
        return sentence("pretrain", data, "--out", tmp_path / "new", *NETWORK, "--steps", 2, "--quiet", *more)

    assert "a mask given by hand is for pictures" in refused(data, "--mask", "random")
    assert "--fit pad is about pictures" in refused(data, "--fit", "pad")
    assert "no column 'x'" in refused(data, "--channels", "x")
    constant = tmp_path / "constant.csv"
    constant.write_text("\n".join(["a,b", *(f"{i},5" for i in range(200))]))
    assert "b of" in (said := refused(constant))
    assert "never changes in the training rows" in said
    assert "too few for a window of 24" in refused(make_series(tmp_path / "short.csv", rows=20))


@pytest.mark.usefixtures("without_drawing")
def test_windows_with_missing_values_count_against_the_budget(tmp_path, sentence):
    gap = make_series(tmp_path / "gap.csv", missing=100)
    options = ["--steps", 20, "--monitor-every", 20, "--quiet"]
    said = sentence("pretrain", gap, "--out", tmp_path / "a", *NETWORK, "--batch", 16, *options)
    assert "windows cannot be used, more than the budget" in said
    assert pretrain_series(gap, tmp_path / "b", *options[:4], "--bad-budget", 0.2) == 0
    assert json.loads((tmp_path / "b" / "replaced.json").read_text())


def test_a_table_for_a_method_of_pictures_is_refused_with_what_to_do(data, sentence):
    assert "time series need a --method for them" in sentence("inspect", data)


def test_pictures_cannot_be_forecast(tmp_path, sentence):
    from small_run import make_pictures, pretrain

    assert pretrain(make_pictures(tmp_path / "pictures"), tmp_path / "run", "--epochs", 0) == 0
    said = sentence("evaluate", tmp_path / "run", "--with", "forecasting")
    assert "works on pictures; forecasting needs a method for time series" in said


def test_a_loaded_run_gives_features_of_a_batch(run):
    import torch

    loaded = load(run)
    assert loaded.features({"series": torch.zeros(3, 24, 2)}).pooled.shape == (3, 16)
