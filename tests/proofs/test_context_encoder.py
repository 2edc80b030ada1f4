"""The proof of Context Encoder in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import make_pictures, without_drawing  # noqa: F401
from unmask.proofs import context_encoder
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import Preset

SMALL = {"width": 4, "latent": 8, "decoder_width": 4, "adversary_width": 4}


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(context_encoder, "NETWORK", SMALL)
    data = tmp_path / "pictures"
    for part, count in (("train", 40), ("test", 12)):
        make_pictures(data / part, count)
    preset = Preset("pictures", 20, 10, {}, epochs=16, lr=1.0, batch=8, warmup=0)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    findings = context_encoder.prove(laboratory, preset, [0])
    assert [arm.name for arm in findings.arms] == [*context_encoder.TASKS, "untrained"]
    assert len(findings.claims) == 2 + 2 * 2
    rows = [findings.numbers[name][0] for name in ("adversary", "squared error")]
    assert all(row["sharpness"] > 0 and row["psnr"] > 0 for row in rows)
