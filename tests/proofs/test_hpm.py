"""The proofs of HPM and its second version in their smallest form: which arms there are, and that they run."""

import pytest
import torch

from small_run import SIZES, make_pictures, without_drawing  # noqa: F401
from unmask.proofs import hpm, hpm_bootstrap
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset


def test_arms_differ_in_one_thing_each():
    mae, predicted, hard, easy = hpm.arms_of(PRESETS["small"])
    plain = {name: value for name, value in hard.settings.items() if name != "decay"}
    assert mae.settings == {**plain, "normalise": False}
    assert predicted.settings == {**plain, "end": 0.0}
    assert easy.settings == {**hard.settings, "hide": "easy"}
    pixels, _, features, random, at_once, _ = hpm_bootstrap.arms_of(PRESETS["small"])
    assert features.settings == {**pixels.settings, "target": "features"}
    assert random.settings == {**features.settings, "end": 0.0}
    assert at_once.settings == {**features.settings, "start": 0.5}


def test_rank_correlation_by_hand():
    first = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    second = torch.tensor([[2.0, 4.0, 9.0], [9.0, 4.0, 2.0], [4.0, 2.0, 9.0]])
    assert hpm.rank_correlation(first, second).tolist() == pytest.approx([1.0, -1.0, 0.5])


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize(("proof", "claims"), [(hpm, 2 * 5 + 1), (hpm_bootstrap, 2 * 5)])
def test_it_runs_in_small(tmp_path, monkeypatch, proof, claims):
    monkeypatch.setattr(proof, "side_by_side", lambda *_: 1.5)
    data = make_pictures(tmp_path / "pictures")
    preset = Preset("pictures", 20, 10, {"model": "16x2x2", **SIZES}, epochs=1, lr=1e-3, batch=8, warmup=0.1)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None)
    findings = proof.prove(laboratory, preset, [0])
    assert len(findings.claims) == claims
    assert {arm.name: arm.epochs for arm in findings.arms}["mae, equal compute"] == 1.5
