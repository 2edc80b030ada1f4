"""What the network gets of an activation: the numbers as they are in the file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from unmask.core import Batch
from unmask.data.loading import collate
from unmask.data.source import Source


class ActivationView:
    """The vector as "activation". Nothing is random, and nothing is standardised: that is the method's own."""

    def __call__(self, vector: Float32[np.ndarray, "d"], card: Any, target: None = None) -> dict[str, Tensor]:
        return {"activation": torch.from_numpy(vector)}

    def draw(self, vector: Float32[np.ndarray, "d"], card: Any, generator: torch.Generator) -> dict[str, Tensor]:
        return self(vector, card)

    def reader(self, card: Any, count: int, cache_bytes: int, workers: int) -> "ActivationView":
        return self

    def read(self, source: Source, i: int) -> Float32[np.ndarray, "d"]:
        """The vector itself: the files are in memory, or mapped."""
        return source.read(i)

    def deferred(self, card: Any, workers: int, device: torch.device) -> bool:
        return False

    def collate(self, samples: Sequence[dict[str, Tensor]], card: Any, deferred: bool) -> Batch:
        return collate(samples)

    def arrived(self, batch: Batch, card: Any) -> Batch:
        return batch

    def sentences(self, card: Any) -> list[str]:
        """What training does with the activations of this card."""
        lines = ["every vector as it is, in an order that the seed decides"]
        if card.unreadable:
            lines.append("vectors that are not finite or do not vary are refused and replaced (see --bad-budget)")
        return lines
