"""The proof of TopK SAE in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import SIZES, make_pictures, without_drawing  # noqa: F401
from unmask.proofs import topk_sae
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import Preset


def test_errors_are_interpolated_between_arms_in_logarithms(monkeypatch):
    monkeypatch.setattr(topk_sae, "CHOICES", (8, 16, 32))
    numbers = {"k 8": (8.0, 0.4), "k 16": (16.0, 0.2), "k 32": (32.0, 0.1)}
    rows = {name: [{"used": used, "error": error}] for name, (used, error) in numbers.items()}
    assert topk_sae.frontier(rows, 0, 16.0) == pytest.approx(0.2)
    assert topk_sae.frontier(rows, 0, 64.0) == pytest.approx(0.05)
    assert topk_sae.frontier(rows, 0, 4.0) == pytest.approx(0.8)


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(topk_sae, "LATENTS", 32)
    monkeypatch.setattr(topk_sae, "CHOICES", (2, 4, 6))
    monkeypatch.setattr(topk_sae, "PENALTIES", (0.1,))
    monkeypatch.setattr(topk_sae, "SHARED", {"latents": 32, "revival_dead_after": 100})
    monkeypatch.setattr(topk_sae, "BATCH", 64)
    monkeypatch.setattr(topk_sae, "EPOCHS", 0.5)
    monkeypatch.setattr(topk_sae, "ROWS", {"train": 200, "test": 100})
    data = make_pictures(tmp_path / "pictures", count=40)
    preset = Preset("pictures", 20, 10, {"model": "16x2x2", **SIZES}, epochs=24, lr=1.0, batch=8, warmup=0)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None)
    findings = topk_sae.prove(laboratory, preset, [0])
    assert len(findings.claims) == 1 + 2 + 2
    assert findings.numbers["k 4"][0]["used"] <= 4
    assert {arm.name for arm in findings.arms} == set(findings.numbers)
