"""The proof of GraphMAE in its smallest form: that it runs, and what it would say."""

import pytest

from small_graphs import SIZES, make_graph
from small_run import without_drawing  # noqa: F401
from unmask.proofs import graphmae
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset


def test_arms_differ_in_one_thing_each():
    whole, *lacking, untrained = graphmae.arms_of(PRESETS["small"])
    assert [len(set(arm.settings) - set(whole.settings)) for arm in lacking] == [1, 1, 1]
    assert (untrained.epochs, untrained.settings) == (0, whole.settings)


@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(graphmae, "SETTINGS", {True: SIZES})
    monkeypatch.setattr(graphmae, "EPOCHS", {True: 2})
    data = make_graph(tmp_path / "one.npz")
    preset = Preset("one.npz", 300, 60, {}, epochs=1, lr=1.0, batch=1, warmup=0)
    folders = tmp_path / "runs", tmp_path / "arms"
    laboratory = Laboratory(data, 300, 60, *folders, "cpu", lambda _: None, pixels=False, method="graphmae")
    findings = graphmae.prove(laboratory, preset, [0])
    assert len(findings.numbers) == 5
    assert len(findings.claims) == 6
    assert all(0 <= row["linear"] <= 1 for rows in findings.numbers.values() for row in rows)
