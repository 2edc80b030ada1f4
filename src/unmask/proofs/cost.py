"""What a step of one arm costs beside a step of another, so that both can be given the same compute."""

import math
import statistics
import time
from collections.abc import Callable

import torch

from unmask.app.catalogue import create
from unmask.app.masking import use_mask
from unmask.core import Context
from unmask.proofs.experiment import Arm
from unmask.train.engine import choose_precision

ROUNDS = 15  # interleaved steps of each kind


def step_cost_ratio(arm: Arm, plain: Arm) -> float:
    """How many times as long a step of `arm` takes as one of `plain`: the median over steps taken in turns."""
    steps = [_stepper(arm), _stepper(plain)]
    for step in steps:
        step()
    ratios = []
    for _ in range(ROUNDS):
        seconds = []
        for step in steps:
            began = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[0] / seconds[1])
    return round(statistics.median(ratios), 3)


def in_quarters(ratio: float) -> float:
    """The next larger quarter: a baseline gets at least the compute, and proofs of similar cost share it."""
    return math.ceil(4 * ratio) / 4


def _stepper(arm: Arm) -> Callable[[], None]:
    method = create(arm.method, **arm.settings)
    if arm.mask is not None:
        use_mask(method, arm.mask)
    optimiser = torch.optim.AdamW(method.parameters(), fused=True)
    size = arm.settings["image_size"]
    batch = {"image": torch.randn(arm.batch, 3, size, size)}
    half = choose_precision("auto", torch.device("cpu")) == "bf16"

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            terms = method.losses(batch, Context(progress=0.5))
        torch.stack(list(terms.values())).sum().backward()
        optimiser.step()

    return step
