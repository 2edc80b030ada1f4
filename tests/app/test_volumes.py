"""The verbs on volumes: trained, taken up again, looked at, measured, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from small_run import unmask, without_drawing  # noqa: F401
from small_volumes import NETWORK, ball, make_volumes, nifti, pretrain_volumes
from unmask.app.report import write_report
from unmask.app.runs import read_card
from unmask.data.volumes_card import VolumesCard
from whole_run import ends_alike

works = pytest.mark.works("s3d_mae_medical")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_volumes(tmp_path_factory.mktemp("volumes") / "set")


@pytest.fixture(scope="module")
def run(tmp_path_factory, data) -> Path:
    """The folder of a run of four steps; not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "run"
    options = ["--steps", 4, "--save-every", 2, "--monitor-every", 4, "--log-every", 1]
    assert pretrain_volumes(data, out, *options) == 0
    return out


@works
def test_a_run_holds_its_card_numbers_and_pictures(run, data):
    card = read_card(run)
    assert isinstance(card, VolumesCard)
    assert (card.origin, card.count, card.targets) == (str(data), 17, 17)
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    held = [row for row in rows if row["kind"] == "held_out"]
    assert [row["step"] for row in held] == [0, 4]
    assert all(np.isfinite(row[name]) for row in held for name in ("loss", "rankme"))
    assert len(list((run / "pictures").glob("*.png"))) == 2


@works
@pytest.mark.usefixtures("without_drawing")
def test_a_run_taken_up_from_its_middle_ends_with_the_same_bits(run, tmp_path):
    ends_alike(run, tmp_path / "again")


def test_inspect_says_what_training_would_do(data, capsys):
    assert unmask("inspect", data, *NETWORK) == 0
    said = capsys.readouterr().out
    for words in ("all 9x8x10 voxels", "all 1x1.5x2 mm", "boxes of 8x8x8 voxels", "24 volumes have", "volumes/s"):
        assert words in said


def test_boxes_hold_the_median_volume_where_nothing_is_said(tmp_path, data):
    network = ["--method", "s3d_mae_medical", "--model", "4-8/1-1", "--set", "cell_size=4", "--epochs", 0, "--quiet"]
    assert unmask("pretrain", data, "--out", tmp_path / "run", *network) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["settings"]["volume_size"] == [16, 16, 16]


@works
def test_a_run_can_be_drawn_and_embedded(run, tmp_path):
    import pyarrow.parquet as parquet

    assert unmask("view", run, "--images", 2, "--out", tmp_path / "view.png") == 0
    assert min(Image.open(tmp_path / "view.png").size) > 300
    assert unmask("embed", run, "--out", tmp_path / "features.parquet") == 0
    table = parquet.read_table(tmp_path / "features.parquet").to_pydict()
    assert table["name"][0].endswith(".nii.gz")
    assert (len(table["vector"]), len(table["vector"][0])) == (24, 8)


@works
def test_dice_is_what_is_measured_where_nothing_is_named(run, tmp_path, capsys):
    own = Path(shutil.copytree(run, tmp_path / "run"))
    capsys.readouterr()
    assert unmask("evaluate", own, "--set", "steps=3", "--set", "labels=4", "--json") == 0
    found = json.loads(capsys.readouterr().out)["measures"]["dice"]
    assert (found["volumes"], found["labels"], found["schedule"]) == (5, 4, "sawtooth")
    assert 0 <= found["mean"] <= 1
    assert set(found["classes"]) == {"1", "2"}
    assert "volumes" in write_report(own).read_text()


def test_what_is_for_pictures_or_needs_masks_is_refused(run, tmp_path, sentence):
    assert "works on volumes, and finetune is for pictures" in sentence("finetune", run)
    assert "choose one of sawtooth, warm, none" in sentence("evaluate", run, "--set", "schedule=steep")
    assert "no labels" in sentence("evaluate", run, "--with", "knn")
    bare = tmp_path / "bare"
    bare.mkdir()
    for i in range(6):
        (bare / f"{i}.nii.gz").write_bytes(nifti(ball(i)[0]))
    assert "has no masks in a training and a test part" in sentence("evaluate", run, bare)


def test_what_does_not_fit_is_refused_before_training(data, tmp_path, sentence):
    def refused(*more) -> str:
        return sentence("pretrain", data, "--out", tmp_path / "new", *NETWORK, "--steps", 2, "--quiet", *more)

    assert "--fit pad is about pictures" in refused("--fit", "pad")
    assert "the channels of volumes have no names" in refused("--channels", "t1")
    assert "do not divide" in refused("--set", "cell_size=3")


@pytest.mark.usefixtures("without_drawing")
def test_volumes_that_cannot_be_used_count_against_the_budget(tmp_path, sentence):
    data = make_volumes(tmp_path / "set")
    for i in (3, 5, 9):
        (data / "images" / f"v{i:02d}.nii.gz").write_bytes(b"nothing")
    options = ["--steps", 8, "--monitor-every", 8]
    said = sentence("pretrain", data, "--out", tmp_path / "a", *NETWORK, "--batch", 4, "--quiet", *options)
    assert "volumes cannot be used, more than the budget" in said
    assert pretrain_volumes(data, tmp_path / "b", *options, "--bad-budget", 0.3) == 0
    assert json.loads((tmp_path / "b" / "replaced.json").read_text())
