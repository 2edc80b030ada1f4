"""Activations made in a moment: sums of a few of many directions, so that there is something sparse to find."""

from pathlib import Path

import numpy as np


def make_activations(path: Path, rows: int = 200, width: int = 12, labelled: bool = False, broken: int = 0) -> Path:
    """A .npy, or a .parquet with names and labels. broken: rows at the start that hold a NaN."""
    generator = np.random.default_rng(0)
    directions = generator.normal(size=(32, width))
    chosen = generator.random((rows, 32)).argsort(1)[:, :2]
    values = (directions[chosen] * generator.uniform(1, 3, (rows, 2, 1))).sum(1).astype(np.float32)
    values[:broken, 0] = np.nan
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, values)
        return path
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = ("train", "test")
    columns = {"name": [f"{parts[i % 5 == 0]}/{i:04d}.png" for i in range(rows)], "vector": list(values)}
    if labelled:
        columns["label"] = [("low", "high")[int(place < 16)] for place in chosen[:, 0]]
    pq.write_table(pa.table(columns), path)
    return path
