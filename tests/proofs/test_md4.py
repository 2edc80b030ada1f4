"""The proof of MD4 in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import without_drawing  # noqa: F401
from small_text import make_text
from unmask.proofs import md4
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset


def test_arms_differ_in_one_thing_each():
    bound, plain, drawn, learned, untrained = md4.arms_of(PRESETS["small"])
    assert plain.settings == {**bound.settings, "weight": "none"}
    assert drawn.settings == {**bound.settings, "antithetic": False}
    assert learned.settings == {**bound.settings, "schedule": "learned"}
    assert (untrained.epochs, untrained.settings) == (0, bound.settings)


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(md4, "SETTINGS", {"length": 32, "features": 8})
    monkeypatch.setattr(md4, "MODELS", {True: "16x1x2"})
    monkeypatch.setattr(md4, "EPOCHS", {True: 0.2})
    monkeypatch.setattr(md4, "PASSAGES", {True: 8})
    monkeypatch.setattr(md4, "DRAWS", 4)
    monkeypatch.setattr(md4, "SAMPLES", 2)
    data = make_text(tmp_path / "wiki" / "valid.txt", 40)
    make_text(tmp_path / "wiki" / "test.txt", 20, seed=1)
    preset = Preset("wiki", 300, 60, {}, epochs=1, lr=1.0, batch=8, warmup=0.1)
    places = tmp_path / "runs", tmp_path / "arms"
    laboratory = Laboratory(data, 300, 60, *places, "cpu", lambda _: None, pixels=False, method="md4")
    findings = md4.prove(laboratory, preset, [0])
    assert len(findings.numbers) == 5
    assert len(findings.claims) == 4
    assert all(2 < rows[0]["bits"] < 20 for rows in findings.numbers.values())
    assert findings.numbers["md4"][0]["even"] > 0
