"""The proof of the pixel transformer in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import make_pictures, without_drawing  # noqa: F401
from unmask.proofs import pixel_transformer
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset

SETTINGS = {"model": "16x1x2", "patch_size": 4, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}


def test_arms_differ_in_their_tokens_alone():
    pixels, two, four, untrained, known = pixel_transformer.arms_of(PRESETS["small"])
    assert "patch_size" not in pixels.settings
    assert two.settings == {**pixels.settings, **pixel_transformer.LEARNED, "patch_size": 2}
    assert four.settings == {**two.settings, "patch_size": 4}
    assert known.settings == {**pixels.settings, "positions": "sincos"}
    assert (untrained.epochs, untrained.settings) == (0, pixels.settings)


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_transformer, "SIDE", 8)
    data = make_pictures(tmp_path / "pictures")
    preset = Preset("pictures", 20, 10, SETTINGS, epochs=1, lr=1e-3, batch=8, warmup=0.1)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    findings = pixel_transformer.prove(laboratory, preset, [0])
    assert len(findings.arms) == 6
    assert len(findings.claims) == 3 * len(pixel_transformer.PROBES)
