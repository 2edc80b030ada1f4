"""The proof of JEPA against MAE in its smallest form: that it runs, and what it would say."""

from pathlib import Path

import pytest

from small_run import without_drawing  # noqa: F401
from unmask.parts.ops.linear_dynamics import learning_time
from unmask.proofs import jepa_linear_dynamics as proof
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS
from unmask.proofs.proving import prove


def test_simulated_times_are_the_theorys(monkeypatch):
    monkeypatch.setattr(proof, "COEFFICIENTS", (0.7, 1.0))
    monkeypatch.setattr(proof, "STARTS", {1: 0.2})
    monkeypatch.setattr(proof, "STEPS", {"latent": {1: 0.02}, "data": {1: 0.005}})
    for target in proof.TARGETS:
        expected = [proof.learning_time(1.0, c, 1, target, 0.2) for c in (0.7, 1.0)]
        assert proof.simulated(1, target, 0) == pytest.approx(expected, rel=0.02)  # of the step


@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(proof, "COEFFICIENTS", (0.8, 1.0))
    monkeypatch.setattr(proof, "STARTS", {1: 0.2})
    monkeypatch.setattr(proof, "STEPS", {"latent": {1: 0.05}, "data": {1: 0.02}})
    monkeypatch.setattr(proof, "LAYERS", 1)
    monkeypatch.setattr(proof, "SCALE", 0.1)
    monkeypatch.setattr(proof, "RATE", {"latent": 1.0, "data": 0.1})
    folders = tmp_path / "runs", tmp_path / "results" / "arms"
    laboratory = Laboratory(
        Path("static:samples=100"), 100, 10, *folders, "cpu", lambda _: None, method="jepa_linear_dynamics"
    )
    findings = proof.prove(laboratory, PRESETS["small"], [0])
    assert list(findings.numbers) == ["jepa", "mae"]
    assert len(findings.claims) == 2 + 1 + 2
    assert set(findings.numbers["mae"][0]) == {"clean", "noisy", "clean by the theory", "noisy by the theory"}
    assert (tmp_path / "results" / "jepa_linear_dynamics.png").is_file()


def test_the_theory_learns_the_clean_feature_first_in_jepa_and_last_in_mae():
    covariance, coefficient = proof.features()
    for target, clean_first in (("latent", True), ("data", False)):
        clean, noisy = (
            learning_time(v, c, proof.LAYERS, target, proof.SCALE) for v, c in zip(covariance, coefficient, strict=True)
        )
        assert (clean < noisy) == clean_first


def test_data_that_equations_give_need_no_file(tmp_path, monkeypatch):
    def stop(laboratory, *_):
        raise RuntimeError(str(laboratory.data))

    monkeypatch.setattr(proof, "prove", stop)
    with pytest.raises(RuntimeError, match=r"static:signal=1\.0x1\.05,noise=0\.05x1\.05,samples=32768"):
        prove("jepa_linear_dynamics", out=tmp_path, cache=tmp_path)
