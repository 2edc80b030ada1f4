"""The proof of TBM in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import SIZES, make_pictures, without_drawing  # noqa: F401
from unmask.proofs import tbm
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import Preset


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(tbm, "side_by_side", lambda *_: 2.0)
    data = make_pictures(tmp_path / "pictures", shape=(24, 24, 3))
    sizes = {**SIZES, "image_size": 24, "boosters_scale": 0.2}
    preset = Preset("pictures", 20, 10, {"model": "16x4x2", **sizes}, epochs=1, lr=1e-3, batch=8, warmup=0.1)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    findings = tbm.prove(laboratory, preset, [0])
    assert [arm.epochs for arm in findings.arms] == [1, 1, 1, 1, 2]
    assert len({arm.key("", 0, 0, 0) for arm in findings.arms}) == 5
    assert len(findings.claims) == 4 * len(tbm.PROBES)
    assert all(0 <= row["corrupted knn"] <= 1 for rows in findings.numbers.values() for row in rows)
    for name in ("boosted", "boosted, detached"):
        assert findings.numbers[name][0]["module error"] > 0
        assert findings.numbers[name][0]["module noise"] > 0
