"""A time series made in a moment, and the smallest network for it."""

from pathlib import Path

import numpy as np

from small_run import unmask

SIZES = {"length": 24, "patch_size": 6, "width": 8}
NETWORK = ["--method", "pits", *(word for name, value in SIZES.items() for word in ("--set", f"{name}={value}"))]


def make_series(path: Path, rows: int = 400, missing: int | None = None) -> Path:
    """Two noisy waves by the hour as a table. missing: row without a value in the second channel."""
    generator = np.random.default_rng(0)
    time = np.arange(rows)
    values = np.stack([10 + 3 * np.sin(time / 4), np.cos(time / 6)], 1) + 0.1 * generator.normal(size=(rows, 2))
    lines = ["date,load,heat"]
    for row, (load, heat) in enumerate(values):
        second = "" if row == missing else f"{heat:.5f}"
        lines.append(f"{np.datetime64('2020-01-01T00') + row},{load:.5f},{second}".replace("T", " ") + "")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def pretrain_series(data: Path, out: Path, *more) -> int:
    """The exit status of a training of the smallest network."""
    return unmask("pretrain", data, "--out", out, *NETWORK, "--batch", 16, "--quiet", *more)
