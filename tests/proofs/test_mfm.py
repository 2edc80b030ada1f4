"""The proof of MFM in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import SIZES, make_pictures, without_drawing  # noqa: F401
from unmask.proofs import few_labels, mfm
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset


def test_arms_differ_from_the_first_in_what_they_are_named_for():
    arms = {arm.name: arm for arm in mfm.arms_of(PRESETS["small"], 1.5)}
    first = arms["mfm"]
    assert arms["low ones taken away"].settings == {**first.settings, "corruption_low": 0.0}
    assert arms["noise"].settings == {**first.settings, "corruption_kind": "noise"}
    assert arms["untrained mfm"].settings == first.settings
    assert arms["mae, equal compute"].epochs == 1.5 * arms["mae"].epochs == 1.5 * first.epochs


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(mfm, "side_by_side", lambda *_: 2.0)
    monkeypatch.setattr(mfm, "NETWORK", {"model": "resnet:8-12/1-1"})
    monkeypatch.setattr(few_labels, "LABELS", 16)
    monkeypatch.setattr(few_labels, "EPOCHS", 1)
    data = make_pictures(tmp_path / "pictures")
    preset = Preset("pictures", 20, 10, {"model": "16x2x2", **SIZES}, epochs=1, lr=1e-3, batch=8, warmup=0.1)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    findings = mfm.prove(laboratory, preset, [0])
    assert len(findings.arms) == 10
    assert len(findings.claims) == 8 * (1 + len(mfm.PROBES))
    assert all(0 <= row["few labels"] <= 1 for rows in findings.numbers.values() for row in rows)
