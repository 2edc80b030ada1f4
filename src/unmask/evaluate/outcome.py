"""What a probe found, and the rule by which a block is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """The scores of one probe.

    validation: one score per block, first block first. best: the block chosen by them, counted from 1.
    test: the score of that block on the test part; spread: its deviation over draws.
    chance: the test score of always naming the class that is most common in training.
    pixels: the test score of the same probe on raw pixels, where it was measured.
    """

    name: str
    metric: str
    validation: tuple[float, ...]
    best: int
    test: float
    spread: float = 0.0
    chance: float | None = None
    classes: int = 0
    pixels: float | None = None


def best_block(validation: Sequence[float]) -> int:
    """The block with the highest validation score, counted from 1; of equals the last."""
    return max(range(len(validation)), key=lambda block: (validation[block], block)) + 1
