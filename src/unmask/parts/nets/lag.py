"""How far a slow copy lags behind the network that it follows, and whether a training is long enough for that."""

import math
from dataclasses import dataclass

LAGS = (0.008, 0.08)  # of the training: 1,000 and 10,000 of the 125,000 steps of HPM's paper
STALE = 0.1  # share of a copy's first weights with which it says nothing of what it should have learned


@dataclass(frozen=True)
class Decay:
    """Of a moving average: from the first of `ends` to the last, linear between over the share `rise` of the training.

    The average lags by 1 / (1 - decay) steps.
    """

    ends: tuple[float, ...]
    rise: float

    def __post_init__(self):
        if len(self.ends) != 2 or not all(0 <= end <= 1 for end in self.ends):
            raise ValueError(
                f"decay {self.ends} is not two shares of the old weights, first and last, such as 0.9,0.99"
            )
        if not 0 <= self.rise <= 1:
            raise ValueError(f"rise {self.rise} is not a share of the training; choose a number in [0, 1]")

    def at(self, progress: float) -> float:
        """The decay when that share of the training is done."""
        first, last = self.ends
        return first + (last - first) * min(progress / max(self.rise, 1e-9), 1.0)

    def remarks(self, steps: int) -> list[str]:
        """That so many steps are too few for the average to forget what it began with, if they are, and what suits."""
        left = math.prod(self.at(step / steps) for step in range(steps))
        if left <= STALE:
            return []
        fitting = ",".join(str(decay) for decay in lagging(steps))
        return [
            f"decay {self.ends[0]} to {self.ends[1]} leaves {left:.0%} of the slow copy as it began after {steps:,}"
            f" steps, so that it cannot tell what is hard; decay={fitting} suits so many"
        ]


def lagging(steps: float) -> tuple[float, ...]:
    """The first and last decay of a copy that lags by as large a share of so many steps as the published one."""
    return tuple(round(1 - 1 / max(lag * steps, 1), 4) for lag in LAGS)
