"""Learning rates over a training."""

import math


def warmup_cosine(step: float, steps: int, warmup: float, peak: float) -> float:
    """Linear from 0 to `peak` over `warmup` steps, then half a cosine to 0 at `steps`.

    Source: He et al. 2022 (MAE), util/lr_sched.py, evaluated at every step.
    """
    if step < warmup:
        return peak * step / warmup
    if steps <= warmup:
        return peak
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
