"""Schedules as shares between 0 and 1."""

import math


def warmup_cosine(step: float, steps: float, warmup: float) -> float:
    """Linear from 0 to 1 over `warmup` steps, then half a cosine to 0 at `steps`.

    Source: He et al. 2022 (MAE), util/lr_sched.py, evaluated at every step.
    """
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))
