"""What the network gets of an activation: the numbers as they are in the file."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from unmask.data.values import PlainView


class ActivationView(PlainView):
    """The vector as "activation". Nothing is random, and nothing is standardised: that is the method's own."""

    def __call__(self, vector: Float32[np.ndarray, "d"], card: Any, target: None = None) -> dict[str, Tensor]:
        return {"activation": torch.from_numpy(vector)}

    def sentences(self, card: Any) -> list[str]:
        """What training does with the activations of this card."""
        lines = ["every vector as it is, in an order that the seed decides"]
        if card.unreadable:
            lines.append("vectors that are not finite or do not vary are refused and replaced (see --bad-budget)")
        return lines
