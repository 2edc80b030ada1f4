"""The proof of MixedAE in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import make_pictures, without_drawing  # noqa: F401
from unmask.proofs import mixed_ae
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset

SETTINGS = {"model": "16x1x2", "patch_size": 4, "image_size": 16, "decoder_width": 16, "decoder_depth": 1}


def test_arms_differ_in_what_the_paper_adds():
    mixed, naive, mae, untrained, unnamed = mixed_ae.arms_of(PRESETS["small"])
    assert naive.settings == {**mixed.settings, "strength": 0.0, "selective": False, "segments": False}
    assert unnamed.settings == {**mixed.settings, "segments": False}
    assert (mae.settings, untrained.epochs) == (mixed.settings, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path):
    data = make_pictures(tmp_path / "pictures")
    preset = Preset("pictures", 20, 10, {**SETTINGS, "decoder_heads": 2}, epochs=1, lr=1e-3, batch=8, warmup=0.1)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    findings = mixed_ae.prove(laboratory, preset, [0])
    assert len(findings.claims) == 4 * len(mixed_ae.PROBES) + 1
    assert 0 < findings.numbers["mixed"][0]["own picture"] <= 1
