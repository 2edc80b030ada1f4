"""The proof of CrossMAE in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import SIZES, make_pictures, without_drawing  # noqa: F401
from unmask.proofs import cross_mae
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import Preset


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(cross_mae, "side_by_side", lambda *_: 0.5)
    data = make_pictures(tmp_path / "pictures")
    preset = Preset("pictures", 20, 10, {"model": "16x2x2", **SIZES}, epochs=1, lr=1e-3, batch=8, warmup=0.1)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    findings = cross_mae.prove(laboratory, preset, [0])
    assert [arm.epochs for arm in findings.arms] == [1, 1, 1, 1, 1, 0.5]
    assert len({arm.key("", 0, 0, 0) for arm in findings.arms}) == 6
    assert len(findings.claims) == 5 * len(cross_mae.PROBES) + 1
    assert findings.claims[-1].holds
