"""Ids of a codebook keep pictures, and the entropy keeps more of the codebook in use.

Small photographs are shrunk to 16x16 pixels. Arms: the tokenizer with and without the entropy. Measured on the test
part: the mean squared error of what is given back (in units of the pixels' deviation), and how many entries are in use
(perplexity).
"""

from collections.abc import Sequence
from typing import Any

import torch

from unmask.app.looking import batches_to_measure
from unmask.app.runs import load
from unmask.evaluate.codes import perplexity
from unmask.evaluate.features import frozen
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.presets import Preset

RATE, BATCH = 4e-3, 64
SHORTER = 1 / 24  # of the preset's epochs
SIZE = 16  # pixels of a side: ids of 2x2 pixels, so that two cores are enough
NETWORK = {
    "tokenizer_codebook_size": 256,
    "tokenizer_latent": 32,
    "tokenizer_width": 16,
    "tokenizer_multipliers": (1, 2),
    "tokenizer_blocks": 1,
    "image_size": SIZE,
}
KEPT = 0.5  # of the variance of the pixels, at least


def tokenizer(preset: Preset, name: str = "with entropy", **more: Any) -> Arm:
    """A tokenizer of 8x8 ids for small pictures, which proofs of systems on ids share."""
    return Arm(name, "vq_tokenizer", {**NETWORK, **more}, preset.epochs * SHORTER, RATE, BATCH, 0)


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = [tokenizer(preset), tokenizer(preset, "without entropy", entropy=0.0)]
    laboratory.train(arms, seeds, "ids")
    numbers = {arm.name: [measured(laboratory, arm, seed) for seed in seeds] for arm in arms}
    used = difference(numbers, "with entropy", "without entropy", "entries in use")
    error = summary([row["error"] for row in numbers["with entropy"]])
    claims = [
        Claim("more entries of the codebook are in use with the entropy", clear(used), used),
        Claim(f"ids keep at least {KEPT:.0%} of the pixels' variance", error["mean"] <= 1 - KEPT, error),
    ]
    return Findings(arms, seeds, numbers, claims)


def measured(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    """Error and entries in use of the finished arm."""
    return laboratory.noted(arm, seed, "ids", lambda: _measure(laboratory, arm, seed))


@torch.no_grad()
def _measure(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    loaded = load(laboratory.trained(arm, seed))
    method: Any = loaded.method
    error, count, ids = 0.0, 0, []
    with frozen(method):
        for batch in batches_to_measure(loaded, laboratory.data, laboratory.test):
            error += float((method.reconstruct(batch) - batch["image"]).square().sum())
            count += batch["image"].numel()
            ids.append(method.ids(batch))
    return {"error": error / count, "entries in use": perplexity(torch.cat(ids))}
