"""How the cost of a step grows with tokens, share hidden, model and patches, and what a day of training reaches here.

Run: python benchmarks/growth.py [--batch 16] [--rounds 3] [--precision bf16]
Every arm differs from the first, ViT-S/16 at 224 pixels with three quarters hidden, in one thing. Arms take turns;
medians. Writes benchmarks/results/growth.json.
"""

import argparse
import json
import statistics
from pathlib import Path

import torch
from guided_step import stepper
from step import matmul_peak

from unmask.train.memory import keep_freed_memory

FIRST = {"model": "vit_small", "image_size": 224, "patch_size": 16, "ratio": 0.75}
CHANGES = (
    {},
    {"image_size": 96},
    {"image_size": 160},
    {"image_size": 320},
    {"patch_size": 32},
    {"ratio": 0.5},
    {"ratio": 0.9},
    {"model": "vit_tiny"},
    {"model": "vit_base"},
)
DAY = 24 * 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="bf16", choices=["fp32", "bf16"])
    options = parser.parse_args()
    keep_freed_memory()
    bf16 = options.precision == "bf16"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    arms = [{**FIRST, **change} for change in CHANGES]
    steps = [stepper("mae", dict(arm), arm["image_size"], options.batch, bf16, device) for arm in arms]
    seconds: list[list[float]] = [[] for _ in arms]
    for round_ in range(options.rounds + 1):
        for number, step in enumerate(steps):
            found = step()
            if round_:  # the first fills caches and pools
                seconds[number].append(found)
    rows = []
    for arm, change, times in zip(arms, CHANGES, seconds, strict=True):
        ratios = [a / b for a, b in zip(times, seconds[0], strict=True)]
        rate = options.batch / statistics.median(times)
        rows.append(
            {
                "arm": arm,
                "change": ", ".join(f"{name}={value}" for name, value in change.items()) or "none",
                "tokens": (arm["image_size"] // arm["patch_size"]) ** 2,
                "pictures per second": rate,
                "pictures per day": rate * DAY,
                "ratio": statistics.median(ratios),
                "lowest": min(ratios),
                "highest": max(ratios),
            }
        )
        print(f"{rows[-1]['change']:18} {rate:7.1f} pictures/s  {rows[-1]['ratio']:.2f}x the time")
    report = {
        "options": vars(options),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads",
        "matmul peak, TFLOP/s": matmul_peak(bf16, device) / 1e12,
        "arms": rows,
    }
    (Path(__file__).parent / "results" / "growth.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
