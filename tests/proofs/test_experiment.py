"""Arms of proofs are trained once, and claims say what their numbers say."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from unmask.proofs import experiment
from unmask.proofs.experiment import (
    Arm,
    Claim,
    Findings,
    Laboratory,
    clear,
    comparisons,
    difference,
    summary,
    write_result,
)

SETTINGS = {"model": "16x1x2", "patch_size": 4, "image_size": 8, "decoder_width": 16, "decoder_depth": 1}
ARM = Arm("mae", "mae", {**SETTINGS, "decoder_heads": 2}, epochs=1, lr=1e-3, batch=32, warmup=0.1)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory) -> Laboratory:
    folder = tmp_path_factory.mktemp("laboratory")
    return Laboratory(Path("digits"), 64, 64, folder / "runs", folder / "arms", "cpu", lambda _: None, pixels=False)


@pytest.fixture(scope="module")
def numbers(laboratory) -> dict[str, float]:
    return laboratory.measure(ARM, 0)


def refuse(*_, **__):
    raise AssertionError("an arm was trained again")


def test_an_arm_is_measured_once(laboratory, numbers, monkeypatch):
    monkeypatch.setattr(experiment, "pretrain", refuse)
    monkeypatch.setattr(experiment, "evaluate", refuse)
    assert laboratory.measure(ARM, 0) == numbers
    assert {"knn", "linear", "seconds", "held-out loss"} <= set(numbers)


def test_training_leaves_alone_what_is_known(laboratory, numbers, tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(Laboratory, "trained", lambda _, arm, seed: begun.append((arm.name, seed)))
    laboratory.train([ARM], [0, 1], "numbers")
    assert begun == [("mae", 1)]
    laboratory.train([ARM], [0])
    assert begun[1:] == [("mae", 0)]


def test_what_was_measured_serves_without_the_runs(laboratory, numbers, tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "pretrain", refuse)
    assert replace(laboratory, cache=tmp_path).measure(replace(ARM, name="another name"), 0) == numbers


def test_another_seed_recipe_or_amount_of_data_is_another_arm(laboratory):
    key = laboratory.key(ARM, 0)
    others = [laboratory.key(ARM, 1), laboratory.key(replace(ARM, lr=2e-3), 0)]
    others.append(replace(laboratory, test=32).key(ARM, 0))
    assert len({key, *others}) == 4


def test_the_training_loss_is_the_mean_of_the_logged_ones_after_a_share(laboratory, numbers):
    rows = [json.loads(line) for line in (laboratory.folder(ARM, 0) / "log.jsonl").read_text().splitlines()]
    late = [row["loss"] for row in rows if row["kind"] == "train" and row["step"] > 1]
    assert laboratory.training_loss(ARM, 0, 0.5) == pytest.approx(sum(late) / len(late))


def test_a_difference_is_taken_seed_by_seed():
    arms = {"a": [{"knn": 0.5}, {"knn": 0.7}], "b": [{"knn": 0.4}, {"knn": 0.5}]}
    found = difference(arms, "a", "b", "knn")
    assert found["mean"] == pytest.approx(0.15)
    assert found["spread"] == pytest.approx(0.05 * 2**0.5)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_difference_is_clear_where_a_one_sided_t_test_rejects_at_five_percent(count):
    values = np.random.default_rng(0).normal(size=count)
    values -= values.mean()
    outcomes = set()
    for shift in np.linspace(0, 8, 40):
        rejected = bool(scipy.stats.ttest_1samp(values + shift, 0, alternative="greater").pvalue < 0.05)
        assert clear(summary((values + shift).tolist())) == rejected
        assert clear(summary((values + shift + 0.3).tolist()), least=0.3) == rejected
        outcomes.add(rejected)
    assert outcomes == {True, False}


def test_a_difference_without_spread_is_clear_where_it_is_above_what_is_asked():
    assert clear(summary([0.02, 0.02, 0.02]))
    assert not clear(summary([0.02, 0.02, 0.02]), least=0.02)


def test_a_result_holds_what_is_needed_to_repeat_it(laboratory, numbers, tmp_path):
    findings = Findings([ARM], [0], {"mae": [numbers]}, [Claim("learns", False, {"mean": 0.0})])
    result = json.loads(write_result(tmp_path, "mae", "small", laboratory, findings).read_text())
    assert result["data"] == {"name": "digits", "fingerprint": laboratory.fingerprint, "pictures": 64}
    assert result["arms"]["mae"]["settings"] == ARM.settings
    assert result["numbers"]["mae"]["knn"]["values"] == [numbers["knn"]]
    assert result["claims"] == [{"claim": "learns", "holds": False, "numbers": {"mean": 0.0}}]
    assert {"command", "date", "machine", "versions", "seeds"} <= set(result)


@pytest.mark.slow
def test_arms_trained_at_the_same_time_give_the_numbers_of_arms_in_turn(laboratory, numbers, tmp_path):
    parallel = replace(laboratory, cache=tmp_path / "runs", arms=tmp_path / "arms", jobs=2, say=print)
    (found,) = parallel.run([ARM], [0])["mae"]
    assert {k: v for k, v in found.items() if k != "seconds"} == {k: v for k, v in numbers.items() if k != "seconds"}


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_note_about_every_arm_and_seed_is_computed_once_and_says_on_what_machine(laboratory, tmp_path, jobs):
    at_once = replace(laboratory, arms=tmp_path, jobs=jobs, say=print)
    found = at_once.note([ARM], [0, 1], "key", Laboratory.key)
    assert found == {"mae": [at_once.key(ARM, 0), at_once.key(ARM, 1)]}
    assert replace(at_once, jobs=1).note([ARM], [0, 1], "key", refuse) == found
    known = json.loads((tmp_path / f"{at_once.key(ARM, 1)}.json").read_text())
    assert known["key"] == at_once.key(ARM, 1)
    assert known["machine"] == experiment.machine()


def test_a_machine_says_whether_its_processor_computes_in_half_precision(monkeypatch):
    monkeypatch.setattr(experiment.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(experiment.os, "cpu_count", lambda: 2)
    for half, words in ((None, "2 CPU cores"), ("bf16", "2 CPU cores with bf16")):
        monkeypatch.setattr(experiment, "native_half", lambda _, half=half: half)
        assert experiment.machine() == words


def test_comparisons_say_for_every_probe_which_arm_is_clearly_above_which():
    arms = {"a": [{"knn": 0.5, "linear": 0.5}] * 3, "b": [{"knn": 0.4, "linear": 0.6}] * 3}
    found = comparisons(arms, ("knn", "linear"), [("a", "b", "a above b")])
    assert [(claim.claim, claim.holds) for claim in found] == [("knn: a above b", True), ("linear: a above b", False)]


@pytest.mark.slow
def test_a_worker_ends_with_the_process_that_asked_for_the_work(tmp_path):
    """A process that is killed cannot tell its workers, which would train on for nobody."""
    script = tmp_path / "asks.py"
    script.write_text(
        "import os, subprocess, sys, time\n"
        "work = 'import sys, time; from unmask.proofs.experiment import _begin_worker as begin;'\n"
        "work += 'begin(int(sys.argv[1])); time.sleep(60)'\n"
        "worker = subprocess.Popen([sys.executable, '-c', work, str(os.getpid())])\n"
        "print(worker.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    asks = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    worker = int(asks.stdout.readline())
    asks.kill()
    asks.wait()
    for _ in range(600):
        if not Path(f"/proc/{worker}").exists():
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker went on")
