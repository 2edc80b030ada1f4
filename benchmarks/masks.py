"""What choosing a mask costs, as a share of the training step it serves.

Run: python benchmarks/masks.py [--model vit_base] [--batch 16] [--rounds 7] [--precision bf16]
A plain step and every sampler take turns; medians and spread. Writes benchmarks/results/masks.json.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from guided_step import SIZE, stepper

from unmask import create
from unmask.app.masking import SAMPLERS, sampler_of
from unmask.core import Context
from unmask.train.memory import keep_freed_memory


def chooser(word: str, method, batch: int, bf16: bool, device: torch.device):
    """A function that draws one batch of masks, late in a training, and says how long it took."""
    sampler = sampler_of(word)
    images = {"image": torch.randn(batch, 3, SIZE, SIZE, device=device)}

    def choose() -> float:
        began = time.perf_counter()
        context = Context(progress=0.9, step=9, generator=torch.Generator().manual_seed(0))
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            sampler(method, images, context)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return choose


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="vit_base")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precision", default="bf16", choices=["fp32", "bf16"])
    options = parser.parse_args()
    keep_freed_memory()
    bf16 = options.precision == "bf16"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    method = create("mae", model=options.model).to(device)
    step = stepper("mae", {"model": options.model}, SIZE, options.batch, bf16, device)
    choosers = {word: chooser(word, method, options.batch, bf16, device) for word in SAMPLERS}
    for one in (step, *choosers.values()):  # the first time fills caches and pools
        one()
    shares: dict[str, list[float]] = {word: [] for word in choosers}
    for _ in range(options.rounds):
        whole = step()
        for word, choose in choosers.items():
            shares[word].append(choose() / whole)
    report: dict = {"options": vars(options), "threads": torch.get_num_threads(), "device": device.type, "masks": {}}
    for word, found in shares.items():
        row = {"share": statistics.median(found), "lowest": min(found), "highest": max(found)}
        report["masks"][word] = row
        print(f"{word:12} {row['share']:7.2%} of a step ({row['lowest']:.2%} to {row['highest']:.2%})")
    (Path(__file__).parent / "results" / "masks.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
