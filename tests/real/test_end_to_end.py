"""Self-Guided MAE on real pictures from the command line: killed, resumed, looked at, measured, taken home."""

import json
import multiprocessing
import os
import signal
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from small_run import unmask, unmask_quietly
from unmask.train.checkpoint import newest, state_hash

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.works("self_guided_mae")]
SETTINGS = {"image_size": 32, "patch_size": 8, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
NETWORK = ["--model", "32x3x2", *(word for n, v in SETTINGS.items() for word in ("--set", f"{n}={v}"))]
TRAINING = [
    "--steps",
    "12",
    "--batch",
    "16",
    "--save-every",
    "3",
    "--log-every",
    "1",
    "--monitor-every",
    "12",
    "--quiet",
]
GUIDED = ["--method", "self_guided_mae", "--set", "start_fraction=0.25"]
PATIENCE = 120  # seconds that a shared machine may need for a few steps


@pytest.fixture(scope="module")
def camvid(data_folder, tmp_path_factory) -> Path:
    """Street scenes in one folder, without any structure."""
    folder = tmp_path_factory.mktemp("camvid")
    with tarfile.open(data_folder / "camvid.tar") as archive:
        members = [m for m in archive.getmembers() if "/image/" in m.name and m.isfile()][::9]
        for member in members:
            (folder / Path(member.name).name).write_bytes(archive.extractfile(member).read())
    return folder


@pytest.fixture(scope="module")
def data(data_folder, camvid) -> dict[str, list]:
    """What to train on, with the options that keep it small."""
    return {"tar": [data_folder / "clothing10.tar", "--limit", 200], "folder": [camvid]}


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory) -> dict[str, Path]:
    """An uninterrupted run on each."""
    found = {}
    for name, (source, *options) in data.items():
        found[name] = tmp_path_factory.mktemp("runs") / name
        assert unmask("pretrain", source, "--out", found[name], *options, *NETWORK, *TRAINING, *GUIDED) == 0
    return found


@pytest.fixture(params=["tar", "folder"])
def run(request, runs) -> Path:
    return runs[request.param]


def bits(run: Path) -> dict[str, str]:
    checkpoint = newest(run)
    return {name: state_hash(checkpoint.tensors(name)) for name in checkpoint.sections}


def rows(run: Path, kind: str) -> list[dict]:
    return [row for row in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if row["kind"] == kind]


def test_training_was_guided_and_measured(run):
    assert newest(run).step == 12
    assert rows(run, "train")[-1]["guided_since"] == pytest.approx(0.25)
    held = rows(run, "held_out")
    assert [row["step"] for row in held] == [0, 12]
    assert all(np.isfinite(row["loss"]) and row["rankme"] >= 1 for row in held)
    assert any(key.startswith("knn/") for key in held[0]) == (run.name == "tar")  # labels where folders name classes


@pytest.mark.parametrize("name", ["tar", "folder"])
def test_a_run_that_is_killed_ends_with_the_same_weights(tmp_path, data, runs, name):
    source, *options = data[name]
    run = tmp_path / "run"
    words = ["pretrain", source, "--out", run, *options, *NETWORK, *TRAINING, *GUIDED]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["unmask.api"])
    process = context.Process(target=unmask_quietly, args=[str(word) for word in (tmp_path / "said.txt", *words)])
    process.start()
    until = time.monotonic() + PATIENCE
    while not (run / "log.jsonl").exists() or not any(row["step"] >= 7 for row in rows(run, "train")):
        assert process.is_alive(), (tmp_path / "said.txt").read_text()
        assert time.monotonic() < until
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert newest(run).step < 12
    assert unmask("resume", run, "--quiet") == 0
    assert bits(run) == bits(runs[name])
    assert (run / "log.jsonl").read_text() == (runs[name] / "log.jsonl").read_text()


@pytest.mark.works("mae")
def test_mae_trains_on_the_same_pictures(tmp_path, camvid):
    assert unmask("pretrain", camvid, "--out", tmp_path / "run", *NETWORK, *TRAINING) == 0
    assert newest(tmp_path / "run").step == 12


def test_view_and_analyse_draw(run, tmp_path):
    assert unmask("view", run, "--images", 3, "--out", tmp_path / "view.png") == 0
    assert min(Image.open(tmp_path / "view.png").size) > 100
    assert unmask("analyse", run, "--images", 6, "--out", tmp_path / "analysis") == 0
    assert list((tmp_path / "analysis").glob("*.png"))


def test_evaluate_probes_the_classes_of_the_archive(runs, capsys):
    assert unmask("evaluate", runs["tar"], "--with", "knn,linear", "--limit", 300, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [outcome["name"] for outcome in found["outcomes"]] == ["knn", "linear"]
    assert found["samples"] == {"train": 300, "validation": 300, "test": 300}
    assert all(0 < outcome["test"] < 1 for outcome in found["outcomes"])


def test_evaluate_segments_the_street_scenes(runs, data_folder, capsys):
    scenes = data_folder / "camvid.tar"
    assert unmask("evaluate", runs["folder"], scenes, "--with", "segmentation", "--limit", 40, "--json") == 0
    (outcome,) = json.loads(capsys.readouterr().out)["outcomes"]
    assert 0 < outcome["test"] < 1


def test_pictures_without_labels_can_be_embedded_but_not_classified(runs, camvid, tmp_path, capsys):
    assert unmask("embed", runs["folder"], "--out", tmp_path / "x.npy") == 0
    assert np.load(tmp_path / "x.npy").shape == (len(list(camvid.iterdir())), 32)
    assert unmask("evaluate", runs["folder"], "--with", "knn") != 0
    assert "no labels" in capsys.readouterr().err


def test_exports_give_the_features_of_the_run(run, tmp_path):
    timm = pytest.importorskip("timm")
    from unmask.app.looking import batches_of, pictures_of, spread
    from unmask.app.runs import load

    for to in ("torch", "timm", "transformers"):
        assert unmask("export", run, "--to", to, "--out", tmp_path / to) == 0
        assert unmask("info", tmp_path / to) == 0
    loaded = load(run)
    batch = next(iter(batches_of(loaded, spread(pictures_of(loaded, None), 5))))
    model = timm.create_model(f"local-dir:{tmp_path / 'timm'}", pretrained=True).eval()
    with torch.no_grad():
        ours, theirs = loaded.features(batch).pooled, model(batch["image"])
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)  # the same sums in another order
