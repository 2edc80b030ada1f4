"""The proof of PITS in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import without_drawing  # noqa: F401
from small_series import SIZES, make_series
from unmask.proofs import pits
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset


def test_arms_differ_in_one_thing_each():
    whole, predicting, alone, untrained = pits.arms_of(PRESETS["small"])
    assert predicting.settings == {**whole.settings, "task": "PD"}
    assert alone.settings == {**whole.settings, "contrast": "none"}
    assert (untrained.epochs, untrained.settings) == (0, whole.settings)


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(pits, "SETTINGS", SIZES)
    monkeypatch.setattr(pits, "EPOCHS", {True: 0.2})
    monkeypatch.setattr(pits, "TUNING", {True: (1, 1)})
    monkeypatch.setattr(pits, "HORIZON", 6)
    data = make_series(tmp_path / "waves.csv", rows=1500)
    preset = Preset("waves.csv", 300, 60, {}, epochs=1, lr=1.0, batch=8, warmup=0.1)
    folders = tmp_path / "runs", tmp_path / "arms"
    laboratory = Laboratory(data, 300, 60, *folders, "cpu", lambda _: None, pixels=False, method="pits")
    findings = pits.prove(laboratory, preset, [0])
    assert len(findings.numbers) == 4
    assert len(findings.claims) == 4
    assert all(row["mse"] > 0 for rows in findings.numbers.values() for row in rows)
    assert set(findings.extra["without a network"]) == {"raw", "repeated"}
