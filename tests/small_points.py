"""Point clouds made in a moment, and the smallest network for them."""

from pathlib import Path

import numpy as np

from small_run import unmask

SIZES = {"points": 64, "groups": 8, "group_size": 8, "embed_width": 8, "decoder_depth": 1}
NETWORK = ["--method", "point_mae", "--model", "16x2x2"]
NETWORK += [word for name, value in SIZES.items() for word in ("--set", f"{name}={value}")]
SHAPES = ("ball", "rod")


def shape(kind: str, points: int, generator: np.random.Generator) -> np.ndarray:
    """Points on a sphere or along a rod, somewhere."""
    directions = generator.normal(size=(points, 3))
    if kind == "ball":
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    else:
        directions *= (0.1, 0.1, 3.0)
    return directions + generator.uniform(-5, 5, 3)


def make_clouds(path: Path, count: int = 40, points: int = 80) -> Path:
    """Balls and rods in one file of arrays, of different numbers of points."""
    generator = np.random.default_rng(0)
    clouds = [shape(SHAPES[i % 2], points + i % 5, generator) for i in range(count)]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        points=np.concatenate(clouds).astype(np.float32),
        ptr=np.cumsum([0, *map(len, clouds)]),
        y=np.arange(count) % 2,
        class_names=np.array(SHAPES),
    )
    return path


def pretrain_points(data: Path, out: Path, *more) -> int:
    """The exit status of a training of the smallest network."""
    return unmask("pretrain", data, "--out", out, *NETWORK, "--batch", 8, "--quiet", *more)
