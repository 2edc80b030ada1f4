"""Schedules of masking: which share of the places is hidden at a moment between 0 and 1."""

import math

from jaxtyping import Float
from torch import Tensor

SCHEDULES = "cosine, uniform, log, exp, or powX, such as pow2"
LEAST = 1e-6  # share that is never fallen below


def masking_rate(moment: Float[Tensor, "*b"], total: Float[Tensor, "*b"], schedule: str) -> Float[Tensor, "*b"]:
    """The share hidden, from about 1 at moment 0 to LEAST at 1. total: places that can be hidden, for "log" and "exp".

    Concave ones ("cosine", "pow2", "exp") stay high for long: few places are shown at first, many at the end.
    Source: Chang et al. 2022 (MaskGIT), section 3.3; mask_schedule.py of the released code.
    """
    check_schedule(schedule)
    if schedule == "cosine":
        rate = (moment * (math.pi / 2)).cos()
    elif schedule == "uniform":
        rate = 1 - moment
    elif schedule == "log":
        rate = -moment.log2() / total.log2()
    elif schedule == "exp":
        rate = 1 - (-total.log2() * (1 - moment)).exp2()
    else:
        rate = 1 - moment ** float(schedule.removeprefix("pow"))
    return rate.clamp(LEAST, 1.0)


def check_schedule(schedule: str) -> None:
    """Raises ValueError for a schedule that is not known."""
    if schedule in ("cosine", "uniform", "log", "exp"):
        return
    try:
        power = float(schedule.removeprefix("pow")) if schedule.startswith("pow") else 0.0
    except ValueError:
        power = 0.0
    if not power > 0:
        raise ValueError(f"schedule {schedule!r} is unknown; choose {SCHEDULES}")
