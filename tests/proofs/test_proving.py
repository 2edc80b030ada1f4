"""A proof is run by the name of its system, and its result says by which command."""

import json

import pytest

from unmask.proofs import iwae
from unmask.proofs.experiment import Arm, Claim, Findings
from unmask.proofs.proving import prove

ARM = Arm("vae", "iwae", {}, epochs=0, lr=1e-3, batch=20, warmup=0)


@pytest.fixture(autouse=True)
def found(monkeypatch):
    """What the proof finds, without any training."""

    def look(laboratory, preset, seeds):
        return Findings([ARM], seeds, {"vae": [{"nats": -1.0} for _ in seeds]}, [Claim("learns", True, {"mean": 1.0})])

    monkeypatch.setattr(iwae, "prove", look)


@pytest.mark.parametrize(("given", "words"), [({}, "iwae"), ({"data": "digits"}, "iwae --data digits")])
def test_the_result_names_the_command_that_repeats_it(tmp_path, given, words):
    report = prove("iwae", seeds=2, out=tmp_path, cache=tmp_path, say=lambda _: None, **given)
    assert report["proven"]
    result = json.loads((tmp_path / "iwae.json").read_text())
    assert result["command"] == f"unmask prove {words} --preset small --seeds 2"
    assert result["data"]["name"] == "digits"


def test_data_that_are_not_there_are_named_with_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="pass --data, or set UNMASK_DATA"):
        prove("iwae", data=tmp_path / "missing", out=tmp_path, cache=tmp_path)


def test_no_seeds_and_two_experiments_at_once_are_refused(tmp_path):
    with pytest.raises(ValueError, match="0 seeds prove nothing"):
        prove("iwae", seeds=0, out=tmp_path, cache=tmp_path)
    with pytest.raises(ValueError, match="name one system, or one study"):
        prove("iwae", study="masks", out=tmp_path, cache=tmp_path)
