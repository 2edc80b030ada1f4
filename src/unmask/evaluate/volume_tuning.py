"""Fine-tuning a network of volumes to segment them, and how well its segments overlap with what they should be."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unmask.core import Batch, Method, to_device
from unmask.evaluate.features import automatic
from unmask.parts.losses.dice import IGNORED, segmentation_loss
from unmask.parts.ops.schedule import sawtooth, warmed_polynomial

SCHEDULES: dict[str, Callable[[int, int], tuple[float, bool]]] = {
    "sawtooth": sawtooth,
    "warm": warmed_polynomial,
    "none": lambda step, steps: warmed_polynomial(step, steps, 0.0),
}
CLIP = 12.0  # largest gradient norm, as nnU-Net has it
TARGET = "volume_segmentation"


@dataclass(frozen=True)
class Overlap:
    """The Dice overlap of every class but the background, averaged over the volumes that have it, and their mean."""

    mean: float
    classes: dict[int, float]
    volumes: int


def dice_scores(prediction: Int64[Tensor, "*grid"], target: Int64[Tensor, "*grid"], classes: int) -> Float[Tensor, "k"]:
    """2 |A and B| / (|A| + |B|) of every class but the first; not a number where neither has it."""
    counted = target != IGNORED
    found = []
    for number in range(1, classes):
        here, there = (prediction == number) & counted, (target == number) & counted
        size = int(here.sum() + there.sum())
        found.append(2 * int((here & there).sum()) / size if size else float("nan"))
    return torch.tensor(found)


@torch.no_grad()
def overlap(
    method: Any,
    batches: Iterable[Batch],
    classes: int,
    device: torch.device | str = "cpu",
    precision: str | None = None,
) -> Overlap:
    """How well a method that segments does on these volumes. precision: None, "bf16" or "fp16"."""
    rows = []
    for batch in batches:
        batch = to_device(batch, device)
        with automatic(device, precision):
            named = method.segment(batch).argmax(1)
        rows += [dice_scores(*pair, classes).cpu() for pair in zip(named, batch[TARGET].long(), strict=True)]
    if not rows:
        raise ValueError("there are no volumes with masks to measure the overlap on")
    table = torch.stack(rows)
    means = table.nanmean(0)
    return Overlap(float(means.nanmean()), {i + 1: float(mean) for i, mean in enumerate(means)}, len(rows))


def tune(
    method: Method,
    batches: Iterable[Batch],
    classes: int,
    *,
    steps: int,
    schedule: str = "sawtooth",
    lr: float = 1e-3,
    seed: int = 0,
    device: torch.device | str = "cpu",
    precision: str | None = None,
) -> Method:
    """A copy of the method with a new head for `classes`, trained on "volume_segmentation"; the method itself stays.

    schedule: "sawtooth", "warm" (everything, with a warm-up) or "none". lr: the highest rate, of AdamW.
    precision: None, "bf16" or "fp16".
    Source: Wald et al. 2025 (S3D), section 4. Differs: AdamW at the same rate, not SGD with momentum 0.99, which needs
    the many steps of the paper.
    """
    torch.manual_seed(seed)
    network: Any = copy.deepcopy(method).to(device)
    network.decoder.rehead(classes)
    network.decoder.to(device)
    course, optimiser = SCHEDULES[schedule], None
    whole_before: bool | None = None
    network.train()
    for step, batch in zip(range(steps), batches, strict=False):
        share, whole = course(step, steps)
        if optimiser is None or whole != whole_before:  # begun anew when more is trained, as the paper's code does
            chosen = network if whole else network.decoder
            optimiser, whole_before = torch.optim.AdamW(chosen.parameters(), lr=lr, weight_decay=0.01), whole
        for group in optimiser.param_groups:
            group["lr"] = lr * share
        batch = to_device(batch, device)
        network.zero_grad(set_to_none=True)
        with automatic(device, precision):
            found = network.segment(batch)
        segmentation_loss(found.float(), batch[TARGET].long()).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()
    return network.eval()
