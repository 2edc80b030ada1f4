"""What a probe found, and the rule by which a block is chosen."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """The scores of one probe.

    validation: the score of every block that was tried, blocks counted from 1. best: the block chosen by them.
    test: the score of that block on the test part; spread: its deviation over draws.
    chance: the test score of always naming the class that is most common in training.
    pixels: the test score of the same probe on raw pixels, where it was measured.
    """

    name: str
    metric: str
    validation: dict[int, float]
    best: int
    test: float
    spread: float = 0.0
    chance: float | None = None
    classes: int = 0
    pixels: float | None = None


def best_block(validation: Mapping[int, float]) -> int:
    """The block with the highest validation score; of equals the last."""
    return max(validation, key=lambda block: (validation[block], block))
