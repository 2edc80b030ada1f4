"""What a step of one arm costs beside a step of another, so that both can be given the same compute."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch

from unmask.app.catalogue import create
from unmask.app.masking import use_mask
from unmask.core import Batch, Context, to_device
from unmask.proofs.experiment import Arm, Laboratory
from unmask.train.engine import choose_device, native_half

Rows = Sequence[dict[str, float]]
ROUNDS = 15  # interleaved steps of each kind


def step_cost_ratio(arm: Arm, plain: Arm, batch: Batch | None = None, device: str = "cpu") -> float:
    """How many times as long a step of `arm` takes as one of `plain`: the median over steps taken in turns.

    batch: what a step is taken on; default: noise in the form of the arm's pictures.
    """
    place = choose_device(device)
    steps = [_stepper(arm, batch, place), _stepper(plain, batch, place)]
    for step in steps:
        step()
    ratios = []
    for _ in range(ROUNDS):
        seconds = []
        for step in steps:
            began = time.perf_counter()
            step()
            if place.type != "cpu":
                torch.accelerator.synchronize()
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[0] / seconds[1])
    return round(statistics.median(ratios), 3)


def equal_compute(baseline: Arm, ratio: float) -> Arm:
    """The baseline for as long as a training takes that costs `ratio` times as much."""
    return replace(baseline, name=f"{baseline.name}, equal compute", epochs=baseline.epochs * in_quarters(ratio))


def side_by_side(laboratory: Laboratory, arm: Arm, baseline: Arm) -> float:
    """`step_cost_ratio` where the laboratory trains, measured once for every two arms and kind of device."""
    kind = choose_device(laboratory.device).type
    pair = "-".join(one.key("", 0, 0, 0)[:10] for one in (arm, baseline))
    name = f"step-cost-{pair}" + ("" if kind == "cpu" else f"-{kind}")
    return laboratory.once(name, partial(step_cost_ratio, arm, baseline, device=laboratory.device))


def by_the_clock(laboratory: Laboratory, arm: Arm, rows: Rows, baseline: Rows) -> float:
    """How many times as long a training of `arm` took: for steps that differ over a training, or with the data.

    The fastest seed of each is taken: other work on the machine only ever slows.
    """
    fastest = [min(row["seconds"] for row in some) for some in (rows, baseline)]
    return laboratory.once(f"time-{arm.key('', 0, 0, 0)}", lambda: round(fastest[0] / fastest[1], 2))


def in_quarters(ratio: float) -> float:
    """The next larger quarter: a baseline gets at least the compute, and proofs of similar cost share it."""
    return math.ceil(4 * ratio) / 4


def _stepper(arm: Arm, batch: Batch | None, device: torch.device) -> Callable[[], None]:
    method = create(arm.method, **arm.settings)
    if arm.mask is not None:
        use_mask(method, arm.mask)
    method.to(device)
    optimiser = torch.optim.AdamW(method.parameters(), fused=True)
    if batch is None:
        size = arm.settings["image_size"]
        batch = {"image": torch.randn(arm.batch, 3, size, size)}
    taken = to_device(batch, device)
    half = native_half(device) is not None

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            terms = method.losses(taken, Context(progress=0.5))
        torch.stack(list(terms.values())).sum().backward()
        optimiser.step()

    return step
