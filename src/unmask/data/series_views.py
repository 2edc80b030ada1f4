"""What the network gets of a window: its rows, standardised by the card, and those that follow."""

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from unmask.data.series_card import SeriesCard
from unmask.data.values import PlainView


class SeriesView(PlainView):
    """The first `length` rows of a window as "series" and the rest, if there is any, as "future". Nothing is random."""

    def __init__(self, length: int):
        self.length = length

    def __call__(self, window: Float32[np.ndarray, "t c"], card: SeriesCard, target: None = None) -> dict[str, Tensor]:
        rows = card.scaled(torch.from_numpy(window))
        found = {"series": rows[: self.length]}
        return found if len(rows) == self.length else {**found, "future": rows[self.length :]}

    def sentences(self, card: SeriesCard) -> list[str]:
        """What training does with the windows of this card."""
        lines = [f"windows of {self.length} rows at every place, in an order that the seed decides"]
        lines.append(f"{len(card.channels)} channel(s), each (value - mean) / std with the statistics below")
        if card.missing:
            lines.append("windows that lack a value are refused and replaced (see --bad-budget)")
        if card.constant:
            lines.append("refused as it is: constant channels have nothing to learn; leave them out with --channels")
        return lines
