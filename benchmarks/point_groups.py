"""What it costs to cut clouds into patches: farthest points, their neighbours, and the Chamfer distance of patches.

Run: python benchmarks/point_groups.py [--clouds 128] [--points 1024] [--groups 64] [--size 32] [--rounds 7]
The promise: 128 clouds of 1,024 points are cut in at most a second on two cores, without anything to compile. Medians
and spread in seconds. Writes benchmarks/results/point_groups.json.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from unmask.parts.losses.chamfer import chamfer
from unmask.parts.ops.points import farthest_points, grouped, nearest_points, points_at

MOST = 1.0  # seconds


def timed(work: Callable[[], object], device: torch.device) -> float:
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("clouds", 128), ("points", 1024), ("groups", 64), ("size", 32), ("rounds", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    points = torch.randn(options.clouds, options.points, 3, device=device)
    centres = points_at(points, farthest_points(points, options.groups))
    patches = grouped(points, options.groups, options.size).patches.flatten(0, 1)
    guess = torch.randn_like(patches).requires_grad_()
    works: dict[str, Callable[[], object]] = {
        "farthest points": lambda: farthest_points(points, options.groups),
        "nearest points": lambda: nearest_points(points, centres, options.size),
        "patches, both together": lambda: grouped(points, options.groups, options.size),
        "Chamfer distance and its gradient": lambda: chamfer(guess, patches).backward(),
    }
    for work in works.values():  # the first time fills caches and pools
        work()
    rows: dict[str, dict[str, float]] = {}
    for name, work in works.items():
        found = [timed(work, device) for _ in range(options.rounds)]
        rows[name] = {"seconds": statistics.median(found), "lowest": min(found), "highest": max(found)}
        print(f"{name:36} {rows[name]['seconds']:7.3f} s ({min(found):.3f} to {max(found):.3f})")
    report = {"options": vars(options), "threads": torch.get_num_threads(), "device": device.type, "work": rows}
    (Path(__file__).parent / "results" / "point_groups.json").write_text(json.dumps(report, indent=1) + "\n")
    if rows["patches, both together"]["seconds"] > MOST:
        raise SystemExit(f"patches take more than {MOST} s")


if __name__ == "__main__":
    main()
