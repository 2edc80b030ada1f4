"""Schedules as shares between 0 and 1."""

import math


def warmup_cosine(step: float, steps: float, warmup: float) -> float:
    """Linear from 0 to 1 over `warmup` steps, then half a cosine to 0 at `steps`.

    Source: He et al. 2022 (MAE), util/lr_sched.py, evaluated at every step.
    """
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def polynomial(step: float, steps: float, power: float = 0.9) -> float:
    """From 1 to 0 at `steps`, nearly straight. Source: Chen et al. 2018 (DeepLab), as in nnU-Net."""
    return max(1 - step / max(steps, 1), 0.0) ** power


def sawtooth(step: int, steps: int) -> tuple[float, bool]:
    """The rate, as a share of the highest, and whether the whole network is trained or the decoder alone.

    The decoder's rate rises over a fortieth of the steps and falls to 0 over another; that of everything rises over a
    twentieth and falls over the rest. Source: Wald et al. 2025 (S3D), sawtooth_trainer.py of the released code, which
    takes epochs 0 to 25, 50, 100 and 1000.
    """
    borders = [0, *(round(steps * share) for share in (0.025, 0.05, 0.1)), steps]
    part = max(number for number in range(4) if borders[number] <= step)
    first, length = borders[part], borders[part + 1] - borders[part]
    rising = part in (0, 2)
    return (step - first + 1) / length if rising else polynomial(step - first, length), part > 1


def warmed_polynomial(step: int, steps: int, warmup: float = 0.05) -> tuple[float, bool]:
    """Everything is trained, at a rate that rises over a share of the steps and then falls as a polynomial."""
    rising = round(steps * warmup)
    return ((step + 1) / rising if step < rising else polynomial(step - rising, steps - rising)), True
