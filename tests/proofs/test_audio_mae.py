"""The proof of Audio-MAE in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import without_drawing  # noqa: F401
from small_sound import make_sounds
from unmask.proofs import audio_mae
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset


def test_arms_differ_in_one_thing_each():
    windows, whole, crossed, half, untrained = audio_mae.arms_of(PRESETS["small"])
    assert whole.settings == {**windows.settings, "decoder_window": 64}
    assert (crossed.settings, crossed.mask) == (windows.settings, "product:rows=0.6,columns=0.5")
    assert half.settings == {**windows.settings, "ratio": 0.5}
    assert (untrained.epochs, untrained.settings) == (0, windows.settings)


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    sizes = {"model": "16x2x2", "decoder_width": 16, "decoder_depth": 2, "decoder_heads": 2}
    monkeypatch.setattr(audio_mae, "SETTINGS", {True: sizes})
    monkeypatch.setattr(audio_mae, "SHARED", {"frames": 32, "bands": 16, "patch_size": 4, "fit": "pad"})
    monkeypatch.setattr(audio_mae, "EPOCHS", {True: 1})
    monkeypatch.setattr(audio_mae, "TUNED", {True: 1})
    monkeypatch.setattr(audio_mae, "FEW", 20)
    data = make_sounds(tmp_path / "tones", count=60)
    preset = Preset("tones", 60, 30, {}, epochs=1, lr=1.0, batch=8, warmup=0.1)
    folders = tmp_path / "runs", tmp_path / "arms"
    laboratory = Laboratory(data, 60, 30, *folders, "cpu", lambda _: None, pixels=False, method="audio_mae")
    findings = audio_mae.prove(laboratory, preset, [0])
    assert len(findings.numbers) == 5
    assert len(findings.claims) == 2 * 4 + 1 + 1
    assert all(row["held-out loss"] > 0 for rows in findings.numbers.values() for row in rows)
