"""What an arm has learned, seen on pictures it was not trained on."""

from collections.abc import Iterable
from typing import Any

from unmask.app.looking import batches_of, pictures_of
from unmask.app.measuring import labelled
from unmask.app.runs import load
from unmask.app.watching import spread
from unmask.core import Batch
from unmask.proofs.experiment import Arm, Laboratory


def trained_and_tested(laboratory: Laboratory, arm: Arm, seed: int) -> tuple[Any, Iterable[Batch]]:
    """The arm's method as it is after training, in evaluation mode, and batches of labelled test pictures."""
    loaded = load(laboratory.trained(arm, seed))
    test = labelled(pictures_of(loaded, laboratory.data), loaded.config.data["split"], seed)["test"]
    return loaded.method.eval(), batches_of(loaded, spread(test, min(laboratory.test, len(test))))
