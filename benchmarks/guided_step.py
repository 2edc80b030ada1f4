"""What choosing masks by clusters costs: a guided step against a plain one, side by side in one run.

Run: python benchmarks/guided_step.py [--model vit_base] [--batch 16] [--rounds 5] [--precision fp32|bf16]
Prints median ratios with their spread and writes benchmarks/results/guided_step_PRECISION.json.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from unmask import create
from unmask.core import Context

SIZE = 224
ARMS = {
    "plain": ("mae", {}),
    "guided, every step": ("self_guided_mae", {"start_fraction": 0.0}),
    "guided, cached per image": ("self_guided_mae", {"start_fraction": 0.0, "refresh": "image"}),
}


def stepper(slug: str, settings: dict, size: int, batch: int, bf16: bool, device: torch.device):
    """A function that does one whole training step, losses, backward and AdamW, and says how long it took."""
    method = create(slug, **settings).to(device)
    optimiser = torch.optim.AdamW(method.parameters(), fused=True)
    images = {"image": torch.randn(batch, 3, size, size, device=device), "index": torch.arange(batch, device=device)}
    context = Context(progress=0.5, generator=torch.Generator().manual_seed(0))

    def step() -> float:
        began = time.perf_counter()
        optimiser.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            losses = method.losses(images, context)
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="vit_base")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bf16 = options.precision == "bf16"
    steps = {
        name: stepper(slug, {"model": options.model, **settings}, SIZE, options.batch, bf16, device)
        for name, (slug, settings) in ARMS.items()
    }
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.rounds):  # A B C A B C: what disturbs the machine disturbs all
        for name, step in steps.items():
            seconds[name].append(step())
    report = {"options": vars(options), "threads": torch.get_num_threads(), "device": device.type, "arms": {}}
    for name in steps:
        ratios = [a / b for a, b in zip(seconds[name], seconds["plain"], strict=True)]
        report["arms"][name] = {
            "seconds": statistics.median(seconds[name]),
            "ratio": statistics.median(ratios),
            "lowest": min(ratios),
            "highest": max(ratios),
        }
        print(f"{name:26} {report['arms'][name]['seconds']:.2f} s  {statistics.median(ratios):.2f}x", end="")
        print(f"  ({min(ratios):.2f} to {max(ratios):.2f})")
    out = Path(__file__).parent / "results" / f"guided_step_{options.precision}.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
