"""A run of a method from the first step to its evaluation, as a user would make it."""

from pathlib import Path

from small_run import make_pictures, unmask


def run_and_look(folder: Path, method: str, model: str, shape: tuple[int, ...] = (16, 16, 3), **settings) -> Path:
    """Trains a few steps on pictures made in a moment, views and evaluates; the run folder."""
    data, out = make_pictures(folder / "data", count=30, shape=shape), folder / "run"
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    plan = ["--batch", "8", "--steps", "3", "--monitor-every", "9", "--quiet"]
    assert unmask("pretrain", data, "--out", out, "--method", method, "--model", model, *words, *plan) == 0
    assert unmask("view", out, "--out", folder / "view.png", "--images", "2") == 0
    assert unmask("evaluate", out, "--with", "knn", "--no-pixels") == 0
    return out
