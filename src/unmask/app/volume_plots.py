"""What a method sees and predicts of volumes, as slices through the middle."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from unmask.core import Batch, Context
from unmask.evaluate.features import frozen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("volume", "what the encoder sees", "and what is predicted")
PLANES = ("from above", "from the front", "from the side")  # the axis that a slice is across: the last, second, first
HIDDEN = np.array([0.16, 0.22, 0.34])  # colour of what is hidden
CELL = 1.9  # inches
RANGE = (0.01, 0.99)  # share of the intensities between black and white


def volume_panel(method: Any, batch: Batch, context: Context) -> "Figure":
    """One row for every volume and plane: the slice, with hidden cells, with predictions in them. The first channel."""
    from matplotlib.figure import Figure

    with torch.no_grad(), frozen(method):
        whole, hidden = (found.cpu() for found in method.shown(batch, context))
    volumes = batch["volume"].float().cpu()
    rows = len(volumes) * len(PLANES)
    size = (CELL * len(COLUMNS) + 0.5, CELL * rows + 0.4)
    figure = Figure(figsize=size, dpi=80)
    figure.subplots_adjust(
        left=0.3 / size[0], right=0.995, top=1 - 0.3 / size[1], bottom=0.005, wspace=0.03, hspace=0.03
    )
    axes = figure.subplots(rows, len(COLUMNS), squeeze=False)
    for row, cells in enumerate(axes):
        sample, plane = divmod(row, len(PLANES))
        low, high = np.quantile(volumes[sample, 0].numpy(), RANGE)
        slices = [_slice(x, plane) for x in (volumes[sample, 0], whole[sample, 0].float(), hidden[sample].float())]
        image, guess = (((x - low) / max(high - low, 1e-6)).clip(0, 1)[..., None].repeat(3, 2) for x in slices[:2])
        covered = np.where(slices[2][..., None] > 0.5, HIDDEN, image)
        for axis, shown in zip(cells, (image, covered, guess), strict=True):
            axis.imshow(shown, interpolation="nearest", origin="lower")
            axis.set_xticks([])
            axis.set_yticks([])
        cells[0].set_ylabel(PLANES[plane], fontsize=6)
    for axis, title in zip(axes[0], COLUMNS, strict=True):
        axis.set_title(title, fontsize=8)
    return figure


def _slice(x: torch.Tensor, plane: int) -> np.ndarray:
    """The slice through the middle across an axis, the first axis that is left to the right."""
    axis = 2 - plane
    return x.select(axis, x.shape[axis] // 2).numpy().T
