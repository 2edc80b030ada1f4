"""The proof of IWAE in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import make_pictures, without_drawing  # noqa: F401
from unmask.proofs import iwae
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import Preset


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(iwae, "NETWORK", {"latent": 4, "hidden": 8})
    monkeypatch.setattr(iwae, "BATCH", 8)
    monkeypatch.setattr(iwae, "SAMPLES", 10)
    data = tmp_path / "pictures"
    for part, count in (("train", 24), ("test", 12)):
        make_pictures(data / part, count, (8, 8))
    laboratory = Laboratory(data, 24, 12, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    findings = iwae.prove(laboratory, Preset("pictures", 24, 12, {}, epochs=0.25, lr=1.0, batch=8, warmup=0), [0])
    assert [arm.name for arm in findings.arms] == list(iwae.NAMES)
    assert len(findings.claims) == 3 * 2 + 1
    for rows in findings.numbers.values():
        assert rows[0]["nats"] < 0
        assert 0 <= rows[0]["active units"] <= 4
