"""What a method sees and predicts of point clouds, drawn from one side."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from unmask.core import Batch, Context
from unmask.evaluate.features import frozen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEEN, PREDICTED = "#39424e", "#d9662b"
TITLES = ("points", "what the encoder sees", "and what is predicted")
CELL = 2.1  # inches
SIDE, UP = np.radians(35.0), np.radians(22.0)  # from where a cloud is looked at; z points up


def points_panel(method: Any, batch: Batch, context: Context) -> "Figure":
    """One row a cloud: its points, those of visible patches, and with them those that are predicted."""
    from matplotlib.figure import Figure

    with torch.no_grad(), frozen(method):
        patches, predicted = (found.cpu().numpy() for found in method.shown(batch, context))
    clouds = batch["points"].float().cpu().numpy()
    figure = Figure(figsize=(CELL * len(TITLES), CELL * len(clouds) + 0.6), dpi=100)
    figure.subplots_adjust(left=0.01, right=0.99, top=1 - 0.3 / (CELL * len(clouds) + 0.6), bottom=0.02, wspace=0.02)
    axes = figure.subplots(len(clouds), len(TITLES), squeeze=False)
    for row, cloud, patch, guess in zip(axes, clouds, patches, predicted, strict=True):
        reach = max(float(np.abs(_flat(cloud)[:, :2]).max()) * 1.1, 1e-3)
        none = np.zeros(len(cloud), dtype=bool)
        shown = ((cloud, none), (patch[~guess], none[:1].repeat((~guess).sum())), (patch, guess))
        for axis, (points, which) in zip(row, shown, strict=True):
            _draw(axis, points, which, reach)
    for axis, title in zip(axes[0], TITLES, strict=True):
        axis.set_title(title, fontsize=8, color="#333333")
    return figure


def _flat(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """To the right, up, and towards the eye."""
    x, y, z = points.T
    right = np.cos(SIDE) * x - np.sin(SIDE) * y
    back = np.sin(SIDE) * x + np.cos(SIDE) * y
    return np.stack([right, np.cos(UP) * z + np.sin(UP) * back, np.sin(UP) * z - np.cos(UP) * back], axis=1)


def _draw(axis: "Axes", points: Float[np.ndarray, "n 3"], predicted: Bool[np.ndarray, "n"], reach: float) -> None:
    """Points that are nearer are larger and drawn over those behind."""
    flat = _flat(points)
    order = flat[:, 2].argsort()
    near = ((flat[:, 2] + reach) / (2 * reach)).clip(0, 1)
    colours = np.where(predicted, PREDICTED, SEEN)
    axis.scatter(flat[order, 0], flat[order, 1], s=(1 + 4 * near)[order], c=colours[order], linewidths=0, alpha=0.8)
    axis.set_xlim(-reach, reach)
    axis.set_ylim(-reach, reach)
    axis.set_aspect("equal")
    axis.axis("off")
