"""The proof of Bamboo in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import make_pictures, without_drawing  # noqa: F401
from unmask.proofs import bamboo_config_study, few_labels
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset

SETTINGS = {"model": "16x1x2", "patch_size": 4, "image_size": 16, "decoder_width": 16, "decoder_depth": 1}


def test_arms_differ_in_depth_and_training_alone():
    arms = bamboo_config_study.arms_of(PRESETS["small"])
    trained, scratch = arms[:3], arms[3:]
    assert [arm.settings for arm in trained] == [{**trained[0].settings, "times": times} for times in (1, 2, 4)]
    assert [arm.settings for arm in scratch] == [arm.settings for arm in trained]
    assert {arm.epochs for arm in scratch} == {0}


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(bamboo_config_study, "TIMES", (1, 2))
    monkeypatch.setattr(few_labels, "LABELS", 16)
    monkeypatch.setattr(few_labels, "EPOCHS", 1)
    data = make_pictures(tmp_path / "pictures")
    preset = Preset("pictures", 20, 10, {**SETTINGS, "decoder_heads": 2}, epochs=1, lr=1e-3, batch=8, warmup=0.1)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    findings = bamboo_config_study.prove(laboratory, preset, [0])
    assert len(findings.arms) == 5
    assert len(findings.claims) == 3
    assert all(row["detail before"] > 0 for rows in findings.numbers.values() for row in rows)
