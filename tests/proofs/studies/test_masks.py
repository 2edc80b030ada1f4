"""The study of masks in its smallest form: that it runs, and that arms get equal compute."""

import numpy as np
import pytest
from PIL import Image

from small_run import SIZES, make_pictures, without_drawing  # noqa: F401
from unmask.app.masking import SAMPLERS
from unmask.proofs import few_labels
from unmask.proofs import scenes as scenes_beside
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import Preset
from unmask.proofs.studies import masks

PRESET = Preset("pictures", 20, 10, {"model": "16x2x2", **SIZES}, epochs=1, lr=1e-3, batch=8, warmup=0.1)


def laboratory(folder, data) -> Laboratory:
    return Laboratory(data, 20, 10, folder / "runs", folder / "arms", "cpu", lambda _: None)


@pytest.fixture
def data(tmp_path):
    return make_pictures(tmp_path / "pictures")


def test_every_word_is_a_sampler_whose_cost_is_known():
    words = {mask.partition(":")[0] for mask in masks.MASKS}
    assert words == set(masks.GUIDED)
    assert words <= set(SAMPLERS)


def test_masks_that_cost_are_given_fewer_steps(tmp_path, data, monkeypatch):
    monkeypatch.setattr(masks, "side_by_side", lambda *_: 2.0)
    plain, *others = masks.arms_of(laboratory(tmp_path, data), PRESET)
    assert (plain.mask, plain.epochs) == (None, 1.0)
    for arm in others:
        share = masks.GUIDED[arm.mask.partition(":")[0]]
        assert arm.epochs * (1 + share) == pytest.approx(plain.epochs, abs=0.01)


def test_a_small_set_of_large_pictures_is_gone_through_more_often(tmp_path, data, monkeypatch):
    monkeypatch.setattr(masks, "side_by_side", lambda *_: 1.0)
    monkeypatch.setattr(masks, "SIZES", {"pictures": {"image_size": 32}})
    wide = Laboratory(data, 76, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None)
    plain = masks.arms_of(wide, PRESET)[0]
    assert plain.settings["image_size"] == 32
    assert plain.epochs == pytest.approx(2.0)  # 38 pictures, twice


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, data, monkeypatch):
    monkeypatch.setattr(masks, "side_by_side", lambda *_: 1.5)
    monkeypatch.setattr(masks, "MASKS", ("colour:green", "ncut"))
    monkeypatch.setattr(masks, "SIZES", {"pictures": {}})
    monkeypatch.setattr(scenes_beside, "SCENES", "scenes")
    monkeypatch.setattr(few_labels, "LABELS", 16)
    monkeypatch.setattr(masks, "TUNED", 1)
    scenes = tmp_path / "scenes"
    for split in ("train", "val", "test"):
        make_pictures(scenes / split / "image", count=6, classes=0)
        (scenes / split / "mask").mkdir()
        for picture in (scenes / split / "image").iterdir():
            Image.fromarray(np.eye(16, dtype=np.uint8)).save(scenes / split / "mask" / picture.name)
    findings = masks.prove(laboratory(tmp_path, data), PRESET, [0])
    assert [arm.name for arm in findings.arms] == ["random", "colour:green", "ncut"]
    rows = findings.numbers["ncut"][0]
    assert {"knn", "linear", "few labels", "own loss", "segmentation"} <= set(rows)
    assert len(findings.claims) == 2 * 4
