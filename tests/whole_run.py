"""A run of a method from the first step to its evaluation, as a user would make it."""

import shutil
from pathlib import Path

from small_run import make_pictures, unmask
from unmask.train.checkpoint import newest, state_hash


def run_and_look(folder: Path, method: str, model: str, shape: tuple[int, ...] = (16, 16, 3), **settings) -> Path:
    """Trains a few steps on pictures made in a moment, views and evaluates; the run folder."""
    data, out = make_pictures(folder / "data", count=30, shape=shape), folder / "run"
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    plan = ["--batch", "8", "--steps", "3", "--monitor-every", "9", "--quiet"]
    assert unmask("pretrain", data, "--out", out, "--method", method, "--model", model, *words, *plan) == 0
    assert unmask("view", out, "--out", folder / "view.png", "--images", "2") == 0
    assert unmask("evaluate", out, "--with", "knn", "--no-pixels") == 0
    return out


def resumes_alike(folder: Path, method: str, model: str, shape: tuple[int, ...] = (16, 16, 3), **settings) -> Path:
    """Trains six steps, and again from the state after the third, as a killed run leaves it; the folder of the latter.

    All parts of the state are compared, and what was logged on the way.
    """
    data, whole, cut = make_pictures(folder / "data", count=30, shape=shape), folder / "whole", folder / "cut"
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    plan = ["--batch", "8", "--steps", "6", "--save-every", "3", "--log-every", "1", "--monitor-every", "9", "--quiet"]
    assert unmask("pretrain", data, "--out", whole, "--method", method, "--model", model, *words, *plan) == 0
    ends_alike(whole, cut)
    assert (whole / "log.jsonl").read_text() == (cut / "log.jsonl").read_text()
    return cut


def ends_alike(run: Path, again: Path) -> None:
    """Takes a finished run up from its middle, as a killed run leaves it, in the folder `again`.

    All parts of the state are compared bit by bit: the method with its moving averages and centres, and the optimisers.
    """
    shutil.copytree(run, again)
    last = newest(run)
    shutil.rmtree(again / "checkpoints" / f"step-{last.step:08d}")
    assert 0 < newest(again).step < last.step
    assert unmask("resume", again, "--quiet") == 0
    found = newest(again)
    assert (found.step, found.sections) == (last.step, last.sections)
    for name in last.sections:
        assert state_hash(last.tensors(name)) == state_hash(found.tensors(name)), name
