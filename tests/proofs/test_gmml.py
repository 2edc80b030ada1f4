"""The proof of GMML in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import SIZES, make_pictures, without_drawing  # noqa: F401
from unmask.proofs import few_labels, gmml
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset


def test_single_patches_are_groups_whose_largest_side_is_a_patch():
    arms = {arm.name: arm for arm in gmml.arms_of(PRESETS["small"], 1.5)}
    assert (
        arms["single patches"].settings["groups_largest"] * 32 == arms["single patches"].settings["groups_align"] == 4
    )
    assert arms["untrained"].settings == arms["groups"].settings
    assert arms["mae, equal compute"].epochs == 1.5 * arms["mae"].epochs == 1.5 * arms["groups"].epochs


def test_what_the_claim_does_not_need_is_left_to_the_full_preset():
    names = [[arm.name for arm in gmml.arms_of(preset, 1.5)] for preset in (PRESETS["full"], PRESETS["small"].family())]
    assert set(names[0]) - set(names[1]) == {"groups of patches", "groups, no aliens"}


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(gmml, "side_by_side", lambda *_: 2.0)
    monkeypatch.setattr(gmml, "PICTURES", 16)
    monkeypatch.setattr(few_labels, "LABELS", 16)
    monkeypatch.setattr(few_labels, "EPOCHS", 1)
    data = make_pictures(tmp_path / "pictures")
    preset = Preset("pictures", 20, 10, {"model": "16x2x2", **SIZES}, epochs=1, lr=1e-3, batch=8, warmup=0.1)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    findings = gmml.prove(laboratory, preset, [0])
    assert [arm.epochs for arm in findings.arms] == [1.25, 1.25, 0, 1.25, 2.5, 1.25, 1.25]
    assert len(findings.claims) == 6 * (1 + len(gmml.PROBES))
    assert findings.extra["pictures"] == 16
