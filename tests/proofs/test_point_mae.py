"""The proof of Point-MAE in its smallest form: that it runs, and what it would say."""

import pytest

from small_points import SIZES, make_clouds
from small_run import without_drawing  # noqa: F401
from unmask.proofs import point_mae
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset


def test_arms_differ_in_one_thing_each():
    whole, leaking, untrained = point_mae.arms_of(PRESETS["small"])
    assert leaking.settings == {**whole.settings, "shifted": False}
    assert (untrained.epochs, untrained.settings) == (0, whole.settings)


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(point_mae, "SETTINGS", {True: {**SIZES, "model": "16x2x2"}})
    monkeypatch.setattr(point_mae, "EPOCHS", {True: 1})
    monkeypatch.setattr(point_mae, "BATCH", 8)
    data = make_clouds(tmp_path / "shapes.npz")
    preset = Preset("shapes.npz", 40, 40, {}, epochs=1, lr=1.0, batch=8, warmup=0.1)
    folders = tmp_path / "runs", tmp_path / "arms"
    laboratory = Laboratory(data, 40, 40, *folders, "cpu", lambda _: None, pixels=False, method="point_mae")
    findings = point_mae.prove(laboratory, preset, [0])
    assert len(findings.numbers) == 3
    assert len(findings.claims) == 4
    assert all(0 <= row["knn"] <= 1 for rows in findings.numbers.values() for row in rows)
