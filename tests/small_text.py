"""A text made in a moment, and the smallest network for it."""

import json
from pathlib import Path

import numpy as np

from small_run import unmask

WORDS = ["the", "a", "red", "blue", "small", "old", "cat", "dog", "bird", "tree", "sees", "likes", "finds", "hides"]
WORDS += ["under", "near", "and", "while", "it", "sleeps"]
SIZES = {"vocabulary": 80, "length": 24, "dropout": 0.0}
NETWORK = ["--method", "bow_dpr", "--model", "16x1x2"]
NETWORK += [word for name, value in SIZES.items() for word in ("--set", f"{name}={value}")]


def sentences(count: int, seed: int = 0) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, 9)) + " ." for _ in range(count)]


def make_text(path: Path, count: int = 120, seed: int = 0) -> Path:
    """A .txt file of sentences without sense."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(sentences(count, seed)) + "\n")
    return path


def make_lines(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pretrain_text(data: Path, out: Path, *more) -> int:
    """The exit status of a training of the smallest network."""
    return unmask("pretrain", data, "--out", out, *NETWORK, "--batch", 8, "--quiet", *more)
