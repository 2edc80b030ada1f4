"""The proof of MTO in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import SIZES, make_pictures, without_drawing  # noqa: F401
from unmask.proofs import mto
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import Preset


def test_the_area_is_that_of_trapezes_above_the_start():
    assert mto.area([0.2, 0.2, 0.2, 0.2]) == 0
    assert mto.area([0.1, 0.3, 0.5, 0.5]) == pytest.approx(0.25 * 0.1 + 0.25 * 0.3 + 0.5 * 0.4)


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(mto, "side_by_side", lambda *_: 1.0)
    data = make_pictures(tmp_path / "pictures")
    preset = Preset("pictures", 20, 10, {"model": "16x2x2", **SIZES}, epochs=1, lr=1e-3, batch=4, warmup=0.1)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    findings = mto.prove(laboratory, preset, [0])
    assert [arm.epochs for arm in findings.arms] == [0, 1, 0.25, 0.5, 1, 0.25, 0.5, 1, 1, 1, 1]
    assert len(findings.claims) == 4 * len(mto.PROBES)
