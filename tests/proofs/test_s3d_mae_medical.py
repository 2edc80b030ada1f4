"""The proof of S3D in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import without_drawing  # noqa: F401
from small_volumes import make_volumes
from unmask.proofs import s3d_mae_medical as proof
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset

SETTINGS = {"model": "4-8/1-1", "volume_size": (8, 8, 8), "cell_size": 4}


def test_arms_differ_in_what_they_are_about():
    sparse, dense, scratch = proof.arms_of(PRESETS["small"])
    assert dense.settings == {**sparse.settings, "sparse": False, "decoder_fill": "none"}
    assert (scratch.epochs, scratch.settings) == (0, sparse.settings)


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    small = {"SETTINGS": {True: SETTINGS}, "EPOCHS": {True: 1}, "TUNING": {True: (3, 1e-2)}, "LABELS": 4}
    for name, value in small.items():
        monkeypatch.setattr(proof, name, value)
    data = make_volumes(tmp_path / "set")
    preset = Preset("set", 40, 40, {}, epochs=1, lr=1.0, batch=4, warmup=0.1)
    folders = tmp_path / "runs", tmp_path / "arms"
    laboratory = Laboratory(data, 40, 40, *folders, "cpu", lambda _: None, pixels=False, method="s3d_mae_medical")
    findings = proof.prove(laboratory, preset, [0])
    assert list(findings.numbers) == ["s3d", "dense", "from scratch"]
    assert len(findings.claims) == 3
    assert all(0 <= row["dice"] <= 1 for rows in findings.numbers.values() for row in rows)
