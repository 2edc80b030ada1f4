"""What a method sees and predicts of windows of time series, as curves."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from unmask.core import Batch, Context
from unmask.data.series_card import SeriesCard
from unmask.evaluate.features import frozen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANNELS = 3  # drawn of every window
INPUT, SEEN, PREDICTED = "#b9bec7", "#1c1f24", "#d9662b"
CELL = (4.4, 1.15)  # inches


def series_panel(method: Any, batch: Batch, card: SeriesCard, context: Context) -> "Figure":
    """One row per window and channel, one column per view: the input, what the view sees, what it predicts.

    In the units of the files. Predictions are drawn where they count in the loss.
    """
    shown = list(range(min(CHANNELS, batch["series"].shape[2])))
    return curves(method, batch, batch["series"], card, context, shown, "rows")


def curves(
    method: Any, batch: Batch, values: Tensor, card: Any, context: Context, channels: Sequence[int], unit: str
) -> "Figure":
    """As `series_panel`, of a batch whose channels are side by side in `values`; unit: what a moment is called."""
    from matplotlib.figure import Figure

    with torch.no_grad(), frozen(method):
        views = method.views(batch, context)
    series = card.restore(values.float().cpu())
    rows = len(series) * len(channels)
    size = (CELL[0] * len(views), CELL[1] * rows + 0.8)
    figure = Figure(figsize=size, dpi=100)  # laid out by hand: the constrained layout of so many axes takes seconds
    margins = {"left": 0.55 / size[0], "right": 1 - 0.1 / size[0], "top": 1 - 0.3 / size[1], "bottom": 0.5 / size[1]}
    figure.subplots_adjust(**margins, wspace=0.12, hspace=0.25)
    axes = figure.subplots(rows, len(views), squeeze=False, sharex=True)
    for row in range(rows):
        sample, channel = row // len(channels), channels[row % len(channels)]
        for axis, view in zip(axes[row], views, strict=True):
            predicted = card.restore(view.prediction.float().cpu())
            _draw(
                axis,
                series[sample, :, channel].numpy(),
                view.seen[sample, :, channel].cpu().numpy(),
                predicted[sample, :, channel].numpy(),
                view.counted[sample, :, channel].cpu().numpy(),
            )
        axes[row, 0].set_ylabel(card.channels[channel], fontsize=7, labelpad=1)
    for axis, view in zip(axes[0], views, strict=True):
        axis.set_title(view.name, fontsize=9)
    figure.supxlabel(
        f"grey: the window; black: what the view sees; orange: what it predicts, where that counts. {len(series)}"
        f" windows of {series.shape[1]} {unit}, {len(channels)} of {len(card.channels)} channels, in their own units",
        fontsize=7,
        color="#555555",
        y=0.06 / size[1],
    )
    return figure


def _draw(axis: "Axes", window: np.ndarray, seen: np.ndarray, predicted: np.ndarray, counted: np.ndarray) -> None:
    axis.plot(window, color=INPUT, linewidth=0.8)
    for values, where, colour in ((window, seen, SEEN), (predicted, counted, PREDICTED)):
        axis.plot(np.where(where, values, np.nan), color=colour, linewidth=0.9)
        sides = np.pad(where, 1)  # no line goes through a moment between two that are left out
        alone = where & ~sides[:-2] & ~sides[2:]
        axis.plot(np.flatnonzero(alone), values[alone], ".", color=colour, markersize=3)
    axis.tick_params(labelsize=6)
    axis.margins(x=0)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
