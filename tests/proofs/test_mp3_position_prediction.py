"""The proof of MP3 in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import make_pictures, without_drawing  # noqa: F401
from unmask.proofs import few_labels, mp3_position_prediction
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset

SETTINGS = {"model": "16x1x2", "patch_size": 4, "image_size": 16, "decoder_width": 16, "decoder_depth": 1}


def test_arms_differ_in_one_thing_each():
    mp3, untrained, mae, *sweep = mp3_position_prediction.arms_of(PRESETS["small"])
    assert (untrained.epochs, untrained.settings) == (0, mp3.settings)
    assert mp3.settings.items() < mae.settings.items()
    assert [arm.settings for arm in sweep] == [{**mp3.settings, "ratio": share} for share in (0.0, 0.5, 0.9)]
    assert {arm.epochs for arm in (mp3, mae, *sweep)} == {mp3.epochs}


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(mp3_position_prediction, "SHARES", (0.0,))
    monkeypatch.setattr(few_labels, "LABELS", 16)
    monkeypatch.setattr(few_labels, "EPOCHS", 1)
    data = make_pictures(tmp_path / "pictures")
    preset = Preset("pictures", 20, 10, {**SETTINGS, "decoder_heads": 2}, epochs=1, lr=1e-3, batch=8, warmup=0.1)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    findings = mp3_position_prediction.prove(laboratory, preset, [0])
    assert [arm.name for arm in findings.arms][:3] == ["positions", "untrained", "mae"]
    assert len(findings.claims) == 5
    assert all(0 <= row["places"] <= 1 for row in findings.numbers["positions"])
