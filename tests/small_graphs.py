"""Graphs made in a moment, and the smallest network for them."""

from pathlib import Path

import numpy as np

from small_run import unmask

SIZES = {"width": 8, "heads": 2}
NETWORK = ["--method", "graphmae", *(word for name, value in SIZES.items() for word in ("--set", f"{name}={value}"))]


def ring(count: int, chords: int = 0, seed: int = 0) -> np.ndarray:
    """A closed chain of nodes, with some more edges, both ways."""
    one = np.stack([np.arange(count), (np.arange(count) + 1) % count])
    more = np.random.default_rng(seed).integers(0, count, (2, chords))
    more = more[:, more[0] != more[1]]
    both = np.concatenate([one, more], 1)
    return np.concatenate([both, both[::-1]], 1)


def make_graph(path: Path, nodes: int = 60, **more) -> Path:
    """One graph in which neighbours share one of two classes, with features of 0 and 1, and published parts."""
    generator = np.random.default_rng(0)
    label = (np.arange(nodes) >= nodes // 2).astype(np.int64)
    words = (generator.random((nodes, 12)) < np.where(label[:, None], 0.15, 0.5)).astype(np.float32)
    places = np.arange(nodes)
    parts = {"train": places[::3], "val": places[1::3], "test": places[2::3]}
    arrays = {"x": words, "edge_index": ring(nodes, nodes // 2), "y": label, **parts, **more}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def make_graphs(path: Path, count: int = 40, **more) -> Path:
    """Small graphs of two classes: rings with and without chords; nodes have a kind and two attributes."""
    generator = np.random.default_rng(0)
    sizes = generator.integers(5, 12, count)
    starts = np.cumsum([0, *sizes])
    edges = [ring(n, 4 * (i % 2), i) for i, n in enumerate(sizes)]
    arrays = {
        "edge_index": np.concatenate([edge + first for edge, first in zip(edges, starts, strict=False)], 1),
        "node_ptr": starts,
        "edge_ptr": np.cumsum([0, *(edge.shape[1] for edge in edges)]),
        "y": np.arange(count) % 2,
        "node_label": generator.integers(0, 3, starts[-1]),
        "node_attr": generator.normal(5, 2, (starts[-1], 2)).astype(np.float32),
    }
    np.savez(path, **arrays, **more)
    return path


def pretrain_graphs(data: Path, out: Path, *more) -> int:
    """The exit status of a training of the smallest network."""
    return unmask("pretrain", data, "--out", out, *NETWORK, "--quiet", *more)
