"""The proof of WAE in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import make_pictures, without_drawing  # noqa: F401
from unmask.proofs import wae
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import Preset


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(wae, "NETWORK", {"latent": 4, "layers": 2, "kernel": 4, "image_size": 16})
    monkeypatch.setattr(wae, "WIDTHS", {True: 8})
    monkeypatch.setattr(wae, "BATCH", 8)
    monkeypatch.setattr(wae, "LESSONS", 1)
    data = tmp_path / "pictures"
    for part, count in (("train", 24), ("test", 12)):
        make_pictures(data / part, count)
    laboratory = Laboratory(data, 24, 12, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    findings = wae.prove(laboratory, Preset("pictures", 24, 12, {}, epochs=12, lr=1.0, batch=8, warmup=0), [0])
    assert [arm.name for arm in findings.arms] == list(wae.PENALTIES)
    assert len(findings.claims) == 2 * 4
    for rows in findings.numbers.values():
        assert {"samples", "reconstructions", "error", "codes covariance"} <= set(rows[0])
