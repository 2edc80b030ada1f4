"""The verbs on samples of equations, in a moment."""

from pathlib import Path

from small_run import unmask

DATA = "static:samples=64"
NETWORK = ["--method", "jepa_linear_dynamics", "--set", "scale=0.3"]


def pretrain_synthetic(out: Path, *more, data: str = DATA) -> int:
    """The exit status of a short training."""
    return unmask("pretrain", data, "--out", out, *NETWORK, "--batch", 16, "--quiet", *more)
