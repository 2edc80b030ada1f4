"""The verbs on point clouds: trained, taken up again, looked at, measured, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from small_points import NETWORK, make_clouds, pretrain_points
from small_run import unmask, without_drawing  # noqa: F401
from unmask.app.report import write_report
from unmask.app.runs import load, read_card
from unmask.data.points_card import PointsCard
from whole_run import ends_alike

works = pytest.mark.works("point_mae")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_clouds(tmp_path_factory.mktemp("clouds") / "shapes.npz")


@pytest.fixture(scope="module")
def run(tmp_path_factory, data) -> Path:
    """The folder of a run of four steps; not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "run"
    options = ["--steps", 4, "--save-every", 2, "--monitor-every", 4, "--log-every", 1]
    assert pretrain_points(data, out, *options) == 0
    return out


@works
def test_a_run_holds_its_card_numbers_and_pictures(run, data):
    card = read_card(run)
    assert isinstance(card, PointsCard)
    assert (card.origin, card.count, card.classes) == (str(data), 28, ("ball", "rod"))
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    held = [row for row in rows if row["kind"] == "held_out"]
    assert [row["step"] for row in held] == [0, 4]
    assert all(np.isfinite(row[name]) for row in held for name in ("loss", "rankme", "knn/01", "knn/02"))
    assert len(list((run / "pictures").glob("*.png"))) == 2


@works
@pytest.mark.usefixtures("without_drawing")
def test_a_run_taken_up_from_its_middle_ends_with_the_same_bits(run, tmp_path):
    ends_alike(run, tmp_path / "again")


def test_inspect_says_what_training_would_do(data, capsys):
    assert unmask("inspect", data, *NETWORK) == 0
    said = capsys.readouterr().out
    for words in ("train 28, validation 4, test 8", "80 to 84 a cloud", "64 points of every cloud", "clouds/s"):
        assert words in said


def test_so_many_points_are_drawn_as_half_of_the_clouds_have(tmp_path, data):
    network = ["--method", "point_mae", "--model", "16x1x2", "--set", "embed_width=4", "--set", "decoder_depth=1"]
    options = ["--epochs", 0, "--quiet", "--set", "group_size=4"]
    assert unmask("pretrain", data, "--out", tmp_path / "run", *network, *options) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["settings"]["points"] == 64


@works
def test_a_run_can_be_drawn(run, tmp_path):
    assert unmask("view", run, "--images", 2, "--out", tmp_path / "view.png") == 0
    assert min(Image.open(tmp_path / "view.png").size) > 300


@works
def test_features_are_measured_and_written(run, tmp_path, capsys):
    import pyarrow.parquet as parquet

    own = Path(shutil.copytree(run, tmp_path / "run"))
    capsys.readouterr()
    assert unmask("evaluate", own, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [outcome["name"] for outcome in found["outcomes"]] == ["knn", "linear"]
    assert found["samples"] == {"train": 28, "validation": 4, "test": 8}
    assert unmask("embed", run, "--out", tmp_path / "features.parquet") == 0
    table = parquet.read_table(tmp_path / "features.parquet").to_pydict()
    assert table["name"][0] == "shapes.npz[00]"
    assert len(table["vector"][0]) == 16
    assert "clouds" in write_report(own).read_text()


@works
def test_a_loaded_run_gives_features_of_a_batch_of_clouds_of_any_size(run):
    import torch

    loaded = load(run)
    assert loaded.features({"points": torch.randn(3, 100, 3)}).pooled.shape == (3, 16)


def test_what_is_for_pictures_is_refused(run, tmp_path, sentence):
    assert "works on clouds, and finetune is for pictures" in sentence("finetune", run)
    assert "analyse is for pictures" in sentence("analyse", run)
    assert "view --masks is for pictures" in sentence("view", run, "--masks", "random")
    assert "forecasting needs a method for time series" in sentence("evaluate", run, "--with", "forecasting")


def test_what_does_not_fit_is_refused_before_training(data, tmp_path, sentence):
    def refused(data, *more) -> str:
        return sentence("pretrain", data, "--out", tmp_path / "new", *NETWORK, "--steps", 2, "--quiet", *more)

    assert "--fit pad is about pictures" in refused(data, "--fit", "pad")
    assert "the columns x, y and z are read" in refused(data, "--channels", "x,y")
    assert "100 groups of 8 points cannot be made of 64 points" in refused(data, "--set", "groups=100")
    np.save(tmp_path / "one.npy", np.random.default_rng(0).normal(size=(90, 3)))
    assert "1 clouds are too few" in refused(tmp_path / "one.npy")


@pytest.mark.usefixtures("without_drawing")
def test_clouds_that_cannot_be_used_count_against_the_budget(tmp_path, sentence):
    generator = np.random.default_rng(0)
    for i in range(40):
        points = generator.normal(size=(90, 3)) if i % 10 else np.ones((5, 3))
        np.save(tmp_path / f"{i:02d}.npy", points)
    options = ["--steps", 8, "--monitor-every", 8]
    said = sentence("pretrain", tmp_path, "--out", tmp_path / "a", *NETWORK, "--batch", 8, "--quiet", *options)
    assert "clouds cannot be used, more than the budget" in said
    assert "has 5 points, all at one place" in said
    assert pretrain_points(tmp_path, tmp_path / "b", *options, "--bad-budget", 0.2) == 0
    assert json.loads((tmp_path / "b" / "replaced.json").read_text())
