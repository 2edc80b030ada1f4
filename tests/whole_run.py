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

    All parts of the state are compared bit by bit: the method with its moving averages and centres, the optimisers, and
    what was logged on the way.
    """
    data, whole, cut = make_pictures(folder / "data", count=30, shape=shape), folder / "whole", folder / "cut"
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    plan = ["--batch", "8", "--steps", "6", "--save-every", "3", "--log-every", "1", "--monitor-every", "9", "--quiet"]
    assert unmask("pretrain", data, "--out", whole, "--method", method, "--model", model, *words, *plan) == 0
    shutil.copytree(whole, cut)
    shutil.rmtree(cut / "checkpoints" / "step-00000006")
    assert newest(cut).step == 3
    assert unmask("resume", cut, "--quiet") == 0
    first, second = newest(whole), newest(cut)
    assert second.step == 6
    assert first.sections == second.sections
    for name in first.sections:
        assert state_hash(first.tensors(name)) == state_hash(second.tensors(name)), name
    assert (whole / "log.jsonl").read_text() == (cut / "log.jsonl").read_text()
    return cut
