"""The proof of SparK in its smallest form: that it runs, and what it would say."""

import pytest

from small_run import make_pictures, without_drawing  # noqa: F401
from unmask.proofs import few_labels, spark
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset

SETTINGS = {"model": "resnet:8-12/1-1", "image_size": 32, "cell_size": 8, "decoder_width": 16}


def test_arms_differ_in_one_thing_each():
    sparse, dense, single, untrained = spark.arms_of(PRESETS["small"])
    assert dense.settings == {**sparse.settings, "sparse": False}
    assert single.settings == {**sparse.settings, "decoder_stages": 1}
    assert (untrained.epochs, untrained.settings) == (0, sparse.settings)


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(spark, "NETWORKS", {True: SETTINGS})
    monkeypatch.setattr(few_labels, "LABELS", 16)
    monkeypatch.setattr(few_labels, "EPOCHS", 1)
    data = make_pictures(tmp_path / "pictures", shape=(32, 32, 3))
    preset = Preset("pictures", 20, 10, {}, epochs=1, lr=1.0, batch=8, warmup=0.1)
    laboratory = Laboratory(data, 20, 10, tmp_path / "runs", tmp_path / "arms", "cpu", lambda _: None, pixels=False)
    findings = spark.prove(laboratory, preset, [0])
    assert [arm.name for arm in findings.arms] == ["sparse", "dense", "single scale", "untrained"]
    assert len(findings.claims) == 3 * len(spark.PROBES) + 1
    assert all(0 <= row["few labels"] <= 1 for rows in findings.numbers.values() for row in rows)
    assert findings.claims[-1].holds
