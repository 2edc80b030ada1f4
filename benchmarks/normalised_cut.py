"""How fast tokens are cut into object and background, and how often the fast cut agrees with the exact one.

Run: python benchmarks/normalised_cut.py [--data photos] [--batch 64] [--rounds 15] [--steps 120]
Times tokens [batch, 196, 768] -> side and relevance, fast and exact in turns, for float32 and bfloat16 features.
Agreement is the share of patches on the same side, per image: of an untrained ViT-B, of a small masked autoencoder
trained here for `steps` steps, and of made-up tokens that are hard to cut.
Writes benchmarks/results/normalised_cut.json.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from unmask import create
from unmask.core import Context
from unmask.data.card import inspect
from unmask.data.evaluation import evaluation_batches
from unmask.data.sources import Subset, open_source
from unmask.data.views import EvaluationView
from unmask.parts.masks.normalised_cut import NormalisedCut, relevance_to
from unmask.parts.nets.vit import ViT

GRID, WIDTH = 14, 768
IMAGES = 128  # per kind of features
SOLVERS = ("fast", "exact")


def clusters(solver: str, tokens: Float[Tensor, "b n d"]) -> tuple[Bool[Tensor, "b n"], Float[Tensor, "b n"]]:
    """What guided masking does after the encoder."""
    side, usable = NormalisedCut(solver=solver)(tokens)
    side = side & usable.unsqueeze(-1)
    return side, relevance_to(tokens, side)


def pictures(data: str, size: int, count: int) -> Tensor:
    """Standardised pictures, drawn evenly from the whole set."""
    source = open_source(data)
    chosen = Subset(source, torch.linspace(0, len(source) - 1, min(count, len(source))).long().tolist())
    return torch.cat([batch["image"] for batch in evaluation_batches(chosen, inspect(source), EvaluationView(size))])


@torch.no_grad()
def tokens_of(encoder: ViT, images: Tensor, layers: int) -> Tensor:
    encoder.eval()
    return torch.cat([encoder(part, layers=layers)[:, encoder.prefix :] for part in images.split(16)])


def trained(images: Tensor, steps: int) -> tuple[ViT, float]:
    """The encoder of a small masked autoencoder after so many steps, and its last loss."""
    method = create("mae", model="128x6x4", image_size=112, patch_size=8, decoder_width=64, decoder_depth=1)
    optimiser = torch.optim.AdamW(method.parameters(), lr=1e-3, weight_decay=0.05)
    generator = torch.Generator().manual_seed(0)
    loss = torch.tensor(0.0)
    for step in range(steps):
        rows = torch.randint(len(images), (32,), generator=generator)
        context = Context(progress=step / steps, generator=generator)
        loss = torch.stack(list(method.losses({"image": images[rows]}, context).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return method.encoder, loss.item()


def made_up() -> dict[str, Tensor]:
    """Tokens whose second and third eigenvalues are close: smooth fields, ten clusters, nothing but noise."""
    generator = torch.Generator().manual_seed(0)
    coarse, fine = (torch.randn(IMAGES, 12, side, side, generator=generator) for side in (4, GRID))
    smooth = F.interpolate(coarse, size=(GRID, GRID), mode="bicubic") + 0.3 * fine
    member = torch.randint(10, (IMAGES, GRID**2), generator=generator)
    return {
        "smooth random fields": smooth.flatten(2).transpose(1, 2),
        "ten clusters": torch.eye(32)[member] + 0.3 * torch.randn(IMAGES, GRID**2, 32, generator=generator),
        "noise": torch.randn(IMAGES, GRID**2, WIDTH, generator=generator),
        "noise around one direction": 1 + torch.randn(IMAGES, GRID**2, WIDTH, generator=generator),
    }


def agreement(tokens: Float[Tensor, "b n d"]) -> dict[str, float]:
    """Share of patches on the same side after the object's side is chosen, and up to swapping the sides."""
    (fast, fast_usable), (exact, exact_usable) = (NormalisedCut(solver=solver)(tokens) for solver in SOLVERS)
    same = (fast == exact).float().mean(-1)
    swapped = torch.maximum(same, 1 - same)
    return {
        "mean": float(same.mean()),
        "5th percentile": float(same.quantile(0.05)),
        "mean up to swap": float(swapped.mean()),
        "5th percentile up to swap": float(swapped.quantile(0.05)),
        "usable alike": float((fast_usable == exact_usable).float().mean()),
        "images": len(tokens),
    }


def speeds(tokens: Float[Tensor, "b n d"], rounds: int) -> dict[str, dict[str, float]]:
    """Images a second of each solver on float32 and bfloat16 features, taken in turns."""
    arms = {
        f"{solver}, {kind}": (solver, features)
        for kind, features in (("float32", tokens), ("bfloat16", tokens.bfloat16()))
        for solver in SOLVERS
    }
    rates: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name, (solver, features) in arms.items():
            began = time.perf_counter()
            clusters(solver, features)
            if turn:  # the first warms up
                rates[name].append(len(tokens) / (time.perf_counter() - began))
    report = {}
    for name, each in rates.items():
        lower, middle, upper = statistics.quantiles(each, n=4)
        report[name] = {"images/s": middle, "lower quartile": lower, "upper quartile": upper, "lowest": min(each)}
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="photos")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=120)
    options = parser.parse_args()
    torch.manual_seed(0)
    base = tokens_of(ViT("vit_base"), pictures(options.data, 224, IMAGES), layers=11)
    found = speeds(base[: options.batch].contiguous(), options.rounds)
    small = pictures(options.data, 112, 3000)
    encoder, loss = trained(small, options.steps)
    shown = small[:: max(1, len(small) // IMAGES)][:IMAGES]
    kinds = {"untrained ViT-B, block 11": base}
    kinds |= {f"trained for {options.steps} steps, block {k}": tokens_of(encoder, shown, k) for k in (2, 4, 5, 6)}
    agreements = {name: agreement(tokens) for name, tokens in (kinds | made_up()).items()}
    for name, row in found.items():
        print(f"{name:32} {row['images/s']:6.0f} images/s ({row['lower quartile']:.0f} to {row['upper quartile']:.0f})")
    for name, row in agreements.items():
        print(f"{name:32} {row['mean']:.4f} agree, 5th percentile {row['5th percentile']:.3f}, usable alike ", end="")
        print(f"{row['usable alike']:.3f}")
    report = {
        "options": vars(options) | {"data": Path(options.data).name},
        "threads": torch.get_num_threads(),
        "places": GRID**2,
        "width": WIDTH,
        "loss of the trained": loss,
        "speed": found,
        "agreement": agreements,
    }
    out = Path(__file__).parent / "results" / "normalised_cut.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
