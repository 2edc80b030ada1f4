"""Measuring a run on labelled data: parts, reports, and a classifier that does what it reports."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from small_run import make_pictures
from unmask.app.looking import batches_of, pictures_of
from unmask.app.measuring import divided, evaluate, finetune, labelled
from unmask.app.runs import load
from unmask.core import Batch
from unmask.data.sources import open_source
from unmask.evaluate.finetune import Classifier, score
from unmask.evaluate.heads import OneClass


def names(source) -> set[str]:
    return {item.name for item in source.items}


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("split")
    for name, count in (("train", 20), ("validation", 8), ("test", 12)):
        make_pictures(folder / name, count=count)
    return folder


def test_parts_are_the_splits_of_the_data_or_all_of_it(split, pictures):
    parts = divided(open_source(split))
    assert {name: len(part) for name, part in parts.items()} == {"train": 20, "validation": 8, "test": 12}
    assert {name: len(part) for name, part in divided(open_source(split), limit=4).items()} == dict.fromkeys(parts, 4)
    assert list(divided(open_source(pictures))) == ["train"]
    assert names(divided(open_source(split), "validation")["train"]) == names(parts["validation"])


def test_missing_parts_are_held_out_from_train_in_every_class(pictures):
    parts = labelled(open_source(pictures), None, seed=0)
    assert {name: len(part) for name, part in parts.items()} == {"train": 28, "validation": 4, "test": 8}
    assert len(names(parts["train"]) | names(parts["validation"]) | names(parts["test"])) == 40
    for part in parts.values():
        labels = [part.label(i) for i in range(len(part))]
        assert labels.count(0) == labels.count(1)
    assert names(labelled(open_source(pictures), None, seed=1)["test"]) != names(parts["test"])


def test_given_parts_are_kept_and_pictures_without_a_class_left_out(split, tmp_path):
    data = Path(shutil.copytree(split, tmp_path / "data"))
    shutil.copy(data / "train" / "class0" / "000.png", data / "train" / "loose.png")
    parts = labelled(open_source(data), None, seed=0)
    assert {name: len(part) for name, part in parts.items()} == {"train": 20, "validation": 8, "test": 12}


def test_a_report_says_where_its_parts_come_from(finished, split, tmp_path):
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    report = evaluate(run, split, probes=["knn"])
    assert report.samples == {"train": 20, "validation": 8, "test": 12}
    assert report.note == ""
    assert json.loads((run / "evaluation.json").read_text()) == json.loads(json.dumps(report.to_json()))
    assert "held out from train" in evaluate(run, probes=["knn"]).note


def test_the_classes_of_these_pictures_are_told_apart(finished, split, tmp_path):
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    assert evaluate(run, split, probes=["knn"])["knn"].pixels == 1.0  # they differ in brightness by far


def test_a_run_that_cannot_be_written_is_measured_all_the_same(finished, split, tmp_path, monkeypatch):
    run = Path(shutil.copytree(finished, tmp_path / "run"))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("unmask.app.measuring.write_json", refuse)
    with pytest.warns(UserWarning, match="not saved .*Permission denied"):
        assert evaluate(run, split, probes=["knn"]).samples["test"] == 12


def test_a_saved_classifier_has_the_accuracy_that_is_reported(finished, split, tmp_path):
    found = finetune(finished, split, out=tmp_path / "classifier", epochs=8, batch=10, lr=0.05, progress=False)
    assert found["samples"] == {"train": 20, "validation": 8, "test": 12}
    assert found["steps"] == 16
    loaded = load(finished)
    classifier = Classifier(loaded.method, OneClass(torch.arange(2)), 16).eval()
    tensors = load_file(tmp_path / "classifier" / "model.safetensors")
    parts: dict[str, Batch] = {"encoder": {}, "head": {}}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = value
    classifier.method.encoder.load_state_dict(parts["encoder"])
    classifier.head.load_state_dict(parts["head"])
    test = divided(pictures_of(loaded, split))["test"]
    assert score(classifier, batches_of(loaded, test)) == found["test"] == found_in(tmp_path / "classifier")


def found_in(folder: Path) -> float:
    return json.loads((folder / "config.json").read_text())["report"]["test"]


def test_finetuning_repeats_with_a_seed_and_leaves_the_run_as_it_is(finished, split, tmp_path):
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file() and path.name != ".lock"}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        finetune(finished, split, out=tmp_path / name, epochs=1, batch=10, lr=0.05, seed=seed, progress=False)
    a, b, c = (load_file(tmp_path / name / "model.safetensors")["encoder.embed.weight"] for name in "abc")
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert not torch.equal(a, load(finished).method.encoder.embed.weight)
    assert {path: path.read_bytes() for path in before} == before


def test_finetuning_leaves_nothing_behind_when_it_fails(finished, split, tmp_path):
    with pytest.raises(FloatingPointError):
        finetune(finished, split, out=tmp_path / "out", epochs=30, lr=1e30, progress=False)
    assert not list(tmp_path.iterdir())


def test_pictures_that_cannot_be_used_are_named(finished, split, tmp_path):
    data = Path(shutil.copytree(split, tmp_path / "data"))
    (data / "train" / "class0" / "000.png").write_bytes(b"")
    found = finetune(finished, data, epochs=1, progress=False)
    assert found["left_out"] == ["train/class0/000.png"]
    assert np.isfinite(found["test"])
