"""Recordings made in a moment, and the smallest network for them."""

from pathlib import Path

import numpy as np

from small_run import unmask
from unmask.data.recording import save
from unmask.data.trajectory_files import Episode

SIZES = {"length": 8, "width": 8, "depth": 1, "decoder_depth": 1, "heads": 2}
NETWORK = ["--method", "maskdp", *(word for name, value in SIZES.items() for word in ("--set", f"{name}={value}"))]


def episode(number: int = 0, steps: int = 30, missing: tuple[int, int] | None = None, **facts) -> Episode:
    """Noisy waves of three states and two actions. missing: step and number of an action that is lost."""
    generator, time = np.random.default_rng(number), np.arange(steps)[:, None]
    states = np.sin(time / (3 + np.arange(3)) + number) + 0.1 * generator.normal(size=(steps, 3))
    actions = 2 * np.cos(time / (4 + np.arange(2)) + number)
    if missing is not None:
        actions[missing] = np.nan
    name = facts.pop("name", f"e[{number}]")
    return Episode(name, states.astype(np.float32), actions.astype(np.float32), time[:, 0].astype(np.float32), **facts)


def make_recording(path: Path, count: int = 10, **facts) -> Path:
    """A file of episodes of two classes."""
    save([episode(i, label="ab"[i % 2], **facts) for i in range(count)], path)
    return path


def pretrain_trajectories(data: Path | str, out: Path, *more) -> int:
    """The exit status of a training of the smallest network."""
    return unmask("pretrain", data, "--out", out, *NETWORK, "--batch", 16, "--quiet", *more)
