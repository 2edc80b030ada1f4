"""The proof of HPM v2 on clips in its smallest form: that it runs, and what it would say."""

from pathlib import Path

import pytest
import torch

from small_run import make_pictures, without_drawing  # noqa: F401
from unmask.methods.hpm_bootstrap_video import tiny
from unmask.proofs import hpm_bootstrap_video as proof
from unmask.proofs import videomae
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset


def test_arms_differ_in_the_method_or_in_what_is_hidden_alone():
    hard, random, plain = proof.arms_of(PRESETS["small"], 3000)
    assert random.settings == {**hard.settings, "end": 0.0}
    assert {**plain.settings, "decay": hard.settings["decay"]} == hard.settings
    assert (plain.epochs, plain.method) == (hard.epochs, "videomae")


def test_motion_is_found_where_frames_differ():
    video = torch.zeros(1, 3, 4, 16, 16)
    video[:, :, ::2, 4:8, 8:12] = 1.0
    moved = proof.motion(video, tiny()[0].encoder)
    assert moved.shape == (1, 16)
    assert moved[0, 6] == 1
    assert moved.sum() == 1


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    sizes = {"model": "16x2x2", "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2, "patch_size": 4}
    monkeypatch.setattr(videomae, "SETTINGS", {True: sizes})
    monkeypatch.setattr(videomae, "SHARED", {"image_size": 16, "frames": 8, "stride": 1, "ratio": 0.75})
    monkeypatch.setattr(videomae, "EPOCHS", {True: 1})
    data = Path(f"moving:{make_pictures(tmp_path / 'photos', count=60, shape=(32, 32, 3))}")
    preset = Preset("", 60, 30, {}, epochs=1, lr=1.0, batch=8, warmup=0.1)
    folders = tmp_path / "runs", tmp_path / "arms"
    laboratory = Laboratory(data, 60, 30, *folders, "cpu", lambda _: None, pixels=False, method="videomae")
    findings = proof.prove(laboratory, preset, [0])
    assert len(findings.claims) == 2 * 3 + 1
    assert findings.numbers["hard tubes"][0]["motion where hard"] > 0
