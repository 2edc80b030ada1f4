"""What most kinds of data do alike: a module of `app/modalities` names these where it has nothing of its own."""

from collections.abc import Iterable
from typing import Any

import torch

from unmask.core import Batch, Context, Method
from unmask.evaluate.monitor import Guess, held_out
from unmask.evaluate.trivial import guessed_pictures
from unmask.parts.masks.random import RandomMask

RATIO = 0.75  # of the random masks under which masked methods of one kind are compared
STATISTICS = {"minimum": "least", "maximum": "most", "mean": "mean", "std": "std"}  # of a card, and in a report
OF_PICTURES = {"fit": "crop", "smallest": 1}  # options that are about pictures, and what they are if nobody asks


def look_under_own_masks(
    method: Method,
    batches: Iterable[Batch],
    seed: int,
    device: torch.device,
    context: Context,
    references: Iterable[Batch] | None,
) -> dict[str, float]:
    """The method's own terms on held-out samples, and what its features are like."""
    return held_out(method, batches, seed, device, None, context, references)


def look_under_random_masks(
    method: Method,
    batches: Iterable[Batch],
    seed: int,
    device: torch.device,
    context: Context,
    references: Iterable[Batch] | None,
    guess: Guess = guessed_pictures,
) -> dict[str, float]:
    """Held-out numbers; what a masked method predicts is measured under plain random masks, the same for all.

    guess: what needs no learning, for what the method predicts.
    """
    return held_out(method, batches, seed, device, RandomMask(RATIO), context, references, guess)


def refuse_options_of_pictures(where: dict[str, Any], instead: str) -> None:
    """Raises ValueError where an option about pictures was asked for; `instead` says what is done with these data."""
    for name, usual in OF_PICTURES.items():
        if where.get(name, usual) != usual:
            raise ValueError(f"--{name} {where[name]} is about pictures; {instead}")


def channel_rows(facts: dict[str, Any], title: str = "channel") -> list[dict[str, Any]]:
    """One row of statistics for every channel of a card; they are taken out of the facts. title: what channels are."""
    columns = [facts.pop("channels"), *(facts.pop(name) for name in STATISTICS)]
    names = (title, *STATISTICS.values())
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
