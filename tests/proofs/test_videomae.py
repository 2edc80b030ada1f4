"""The proof of VideoMAE in its smallest form: that it runs, and what it would say."""

from pathlib import Path

import pytest

from small_run import make_pictures, without_drawing  # noqa: F401
from unmask.proofs import videomae
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset
from unmask.proofs.proving import _place


def test_arms_differ_in_what_they_hide_alone():
    tubes, random, frames, untrained = videomae.arms_of(PRESETS["small"])
    assert (random.mask, frames.mask, tubes.mask) == ("random:ratio=0.9", "frame:ratio=0.9", None)
    assert random.settings == frames.settings == tubes.settings == untrained.settings
    assert untrained.epochs == 0


def test_the_name_of_its_data_says_what_is_made_of_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("UNMASK_DATA", str(tmp_path))
    (tmp_path / "clothing10.tar").touch()
    assert _place(None, videomae.DATA[0], "videomae") == Path(f"moving:{tmp_path}/clothing10.tar")
    with pytest.raises(FileNotFoundError, match=r"the folder that holds other\.tar"):
        _place(None, "moving:other.tar", "videomae")


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    sizes = {"model": "16x2x2", "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2, "patch_size": 8}
    monkeypatch.setattr(videomae, "SETTINGS", {True: sizes})
    monkeypatch.setattr(videomae, "SHARED", {"image_size": 16, "frames": 16, "stride": 1, "ratio": 0.75})
    monkeypatch.setattr(videomae, "EPOCHS", {True: 1})
    monkeypatch.setattr(videomae, "TUNED", {True: 1})
    monkeypatch.setattr(videomae, "FEW", 24)
    data = Path(f"moving:{make_pictures(tmp_path / 'photos', count=60, shape=(32, 32, 3))}")
    preset = Preset("", 60, 30, {}, epochs=1, lr=1.0, batch=8, warmup=0.1)
    folders = tmp_path / "runs", tmp_path / "arms"
    laboratory = Laboratory(data, 60, 30, *folders, "cpu", lambda _: None, pixels=False, method="videomae")
    findings = videomae.prove(laboratory, preset, [0])
    assert len(findings.numbers) == 4
    assert len(findings.claims) == 2 * 3 + 2 + 1
    assert 0 <= findings.numbers["tubes"][0]["few labels"] <= 1
