"""The proof of MaskDP in its smallest form: that it runs, and what it would say."""

from pathlib import Path

import pytest

from small_run import without_drawing  # noqa: F401
from small_trajectories import SIZES
from unmask.proofs import maskdp as proof
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS


def test_arms_differ_in_one_thing_each():
    whole, small, cloning = proof.arms_of(PRESETS["small"])
    assert small.settings == {**whole.settings, "ratios": 0.15}
    assert (cloning.epochs, cloning.settings) == (0, whole.settings)


@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    pytest.importorskip("gymnasium", reason="simulated tasks need the extra `control`")
    monkeypatch.setattr(proof, "SETTINGS", SIZES)
    monkeypatch.setattr(proof, "EPOCHS", {True: 1.0})
    monkeypatch.setattr(proof, "CASES", {True: 3})
    monkeypatch.setattr(proof, "AHEAD", 4)
    data = Path("Pendulum-v1:episodes=6,steps=70")
    folders = tmp_path / "runs", tmp_path / "arms"
    laboratory = Laboratory(data, 100, 10, *folders, "cpu", lambda _: None, method="maskdp")
    findings = proof.prove(laboratory, PRESETS["small"], [0])
    assert list(findings.numbers) == ["maskdp", "one ratio of 0.15", "cloning"]
    assert len(findings.claims) == 6
    assert set(findings.extra) == {"maskdp, tuned", "one ratio of 0.15, tuned", "untrained"}
    assert findings.numbers["cloning"] != findings.extra["untrained"]
