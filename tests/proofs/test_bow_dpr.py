"""The proof of BoW prediction in its smallest form: that it runs, and what it would say."""

import pytest
import torch

from small_run import without_drawing  # noqa: F401
from small_text import SIZES, make_lines, sentences
from unmask.proofs import bow_dpr
from unmask.proofs.experiment import Laboratory
from unmask.proofs.presets import PRESETS, Preset


def test_arms_differ_in_what_the_vector_is_asked_for():
    bow, decoder, tokens, untrained = bow_dpr.arms_of(PRESETS["small"])
    assert decoder.settings == {**bow.settings, "bow": 0.0, "decoder_depth": 1}
    assert tokens.settings == {**bow.settings, "bow": 0.0}
    assert (untrained.epochs, untrained.settings) == (0, bow.settings)


def test_time_is_measured_on_passages_of_the_arms_length():
    found = bow_dpr.passages(bow_dpr.arms_of(PRESETS["small"])[0])
    assert found["ids"].shape == found["word"].shape == (16, 64)
    assert found["ids_valid"].all()


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_it_runs_in_small(tmp_path, monkeypatch):
    monkeypatch.setattr(bow_dpr, "SETTINGS", SIZES)
    monkeypatch.setattr(bow_dpr, "MODELS", {True: "16x1x2"})
    monkeypatch.setattr(bow_dpr, "EPOCHS", {True: 0.2})
    monkeypatch.setattr(bow_dpr, "step_cost_ratio", lambda *_: 1.5)
    folder = tmp_path / "collection"
    documents = [" ".join(sentences(2, seed)) for seed in range(30)]
    data = make_lines(folder / "corpus.jsonl", [{"id": i, "text": text} for i, text in enumerate(documents)])
    make_lines(folder / "queries.jsonl", [{"id": i, "text": documents[i]} for i in range(3)])
    (folder / "qrels.tsv").write_text("0\t0\t1\n1\t1\t1\n")
    preset = Preset("collection", 300, 60, {}, epochs=1, lr=1.0, batch=8, warmup=0.1)
    places = tmp_path / "runs", tmp_path / "arms"
    laboratory = Laboratory(data, 300, 60, *places, "cpu", lambda _: None, pixels=False, method="bow_dpr")
    torch.manual_seed(0)
    findings = bow_dpr.prove(laboratory, preset, [0])
    assert len(findings.numbers) == 4
    assert len(findings.claims) == 10
    for rows in findings.numbers.values():
        assert 0 <= rows[0]["coverage"] <= 1
        assert 0 <= rows[0]["halves"] <= 1
        assert rows[0]["mrr@10"] == 1
    assert findings.claims[-1].holds
