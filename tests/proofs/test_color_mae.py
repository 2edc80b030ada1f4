"""The proof of ColorMAE in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import SIZES, make_pictures, without_drawing  # noqa: F401
from unmask.proofs import color_mae
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset


def test_arms_differ_in_the_colour_alone():
    *colours, mae = color_mae.arms_of(PRESETS["small"])
    assert [arm.name for arm in colours] == ["red", "green", "blue", "purple", "white"]
    assert all(arm.settings == {**mae.settings, "colour": arm.name} for arm in colours)
    assert len({(arm.epochs, arm.lr, arm.batch) for arm in (*colours, mae)}) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path):
    data = make_pictures(tmp_path / "pictures")
    preset = Preset("pictures", 20, 10, {"model": "16x2x2", **SIZES}, epochs=2, lr=1e-3, batch=8, warmup=0.1)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None)
    findings = color_mae.prove(laboratory, preset, [0])
    assert len(findings.claims) == 3 + 2 * 5
    assert all(row["own loss"] > 0 for rows in findings.numbers.values() for row in rows)
