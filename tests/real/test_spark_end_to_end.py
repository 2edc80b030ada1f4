"""SparK on real photographs from the command line: trained, taken up again, looked at, measured."""

import json

import numpy as np
import pytest
from PIL import Image

from small_run import unmask, without_drawing  # noqa: F401
from whole_run import ends_alike

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.works("spark")]
NETWORK = ["--method", "spark", "--model", "resnet:8-12-16-24/1-1-1-1", "--set", "decoder_width=32"]
TRAINING = ["--steps", "4", "--batch", "16", "--save-every", "2", "--log-every", "1", "--monitor-every", "4", "--quiet"]


@pytest.fixture(scope="module", params=["cifar10.tar", "clothing10.tar"])
def run(request, fewer, tmp_path_factory):
    """A short run with nothing said of sizes but the widths."""
    folder = tmp_path_factory.mktemp("runs") / request.param.removesuffix(".tar")
    data = fewer(request.param, 300)
    assert unmask("pretrain", data, "--out", folder, "--limit", 100, "--lr", 0.05, *NETWORK, *TRAINING) == 0
    return folder


def test_training_was_measured_at_every_stage(run):
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    held = [row for row in rows if row["kind"] == "held_out"]
    assert [row["step"] for row in held] == [0, 4]
    for row in held:
        assert all(np.isfinite(row[name]) for name in ("loss", "explained_variance", "beats/inpainted"))
        assert [name for name in row if name.startswith("knn/")] == [f"knn/{stage:02d}" for stage in range(1, 5)]
    assert len(list((run / "pictures").glob("*.png"))) == 2


@pytest.mark.usefixtures("without_drawing")
def test_a_run_taken_up_from_its_middle_ends_with_the_same_bits(run, tmp_path):
    """Running statistics and the optimiser's state included."""
    ends_alike(run, tmp_path / "again")


def test_a_run_can_be_drawn_and_measured(run, tmp_path, capsys):
    assert unmask("view", run, "--images", 2, "--out", tmp_path / "view.png") == 0
    assert min(Image.open(tmp_path / "view.png").size) > 100
    capsys.readouterr()
    assert unmask("evaluate", run, "--with", "knn", "--limit", 60, "--json") == 0
    (outcome,) = json.loads(capsys.readouterr().out)["outcomes"]
    assert 0 <= outcome["test"] <= 1
