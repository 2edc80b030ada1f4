"""Learning curves from the log of a run."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRIVIAL = {
    "visible": "mean of the visible patches",
    "nearest": "nearest patch copied",
    "inpainted": "visible pixels continued",
}
LINES = ("#3b7dd8", "#d9662b", "#2f9e6e", "#b0569c", "#a8862d")  # readable on white and on black
INK = "#444444"
SMOOTHED = 50  # how many averages a noisy training curve is reduced to

Row = dict[str, Any]


def loss_curve(rows: Sequence[Row], ink: str = INK, columns: int = 2) -> "Figure":
    """Loss, explained variance beside that of the trivial predictors, RankMe, and kNN at every block, over the steps.

    rows: of log.jsonl, training and held-out. ink: colour of text and axes. What was not logged is left out.
    """
    from matplotlib.figure import Figure

    train, held_out = ([row for row in rows if row.get("kind") == kind] for kind in ("train", "held_out"))
    chosen = [_loss]
    chosen += [draw for draw, key in _HELD_OUT.items() if points(held_out, key)[0]]
    columns = min(columns, len(chosen))
    height = -(-len(chosen) // columns)
    figure = Figure(figsize=(4.8 * columns, 3.1 * height), dpi=110, layout="constrained")
    axes = list(figure.subplots(height, columns, squeeze=False).flat)
    for axis in axes[len(chosen) :]:
        axis.set_axis_off()
    for draw, axis in zip(chosen, axes, strict=False):
        draw(axis, train, held_out)
        _finish(axis, ink)
    return figure


def points(rows: Sequence[Row], key: str) -> tuple[list[float], list[float]]:
    """Steps and values of the rows in which the number is there and finite."""
    found = [(float(row["step"]), float(row[key])) for row in rows if key in row and "step" in row]
    found = [pair for pair in found if math.isfinite(pair[1])]
    return [step for step, _ in found], [value for _, value in found]


def _smooth(steps: list[float], values: list[float]) -> tuple[list[float], list[float]]:
    """Means of neighbouring points, `SMOOTHED` of them."""
    size = max(len(steps) // SMOOTHED, 1)
    pieces = [slice(i, i + size) for i in range(0, len(steps), size)]
    return tuple([sum(x[piece]) / len(x[piece]) for piece in pieces] for x in (steps, values))  # type: ignore[return-value]


def _loss(axis: "Axes", train: list[Row], held_out: list[Row]) -> None:
    axis.set_title(loc="left", label="loss")
    steps, values = points(train, "loss")
    if steps:
        axis.plot(steps, values, color=LINES[0], alpha=0.3, linewidth=0.8)
        axis.plot(*_smooth(steps, values), color=LINES[0], label="training")
    axis.plot(*points(held_out, "loss"), color=LINES[1], marker="o", markersize=3, label="held out")


def _explained(axis: "Axes", train: list[Row], held_out: list[Row]) -> None:
    axis.set_title(loc="left", label="explained variance, held out (1 = perfect)")
    axis.plot(*points(held_out, "explained_variance"), color=LINES[0], marker="o", markersize=3, label="this run")
    for colour, (name, words) in zip(LINES[1:], TRIVIAL.items(), strict=False):
        rows = [row for row in held_out if f"trivial/{name}" in row and float(row["trivial/mean"]) > 0]
        shares = [
            {"step": row["step"], "x": 1 - float(row[f"trivial/{name}"]) / float(row["trivial/mean"])} for row in rows
        ]
        axis.plot(*points(shares, "x"), color=colour, linestyle="--", linewidth=1.2, label=words)
    low = min(points(held_out, "explained_variance")[1][1:], default=0.0)  # the untrained network is far below
    axis.set_ylim(bottom=min(low, 0.0) - 0.03)


def _rank(axis: "Axes", train: list[Row], held_out: list[Row]) -> None:
    axis.set_title(loc="left", label="RankMe: directions that the features use")
    axis.plot(*points(held_out, "rankme"), color=LINES[2], marker="o", markersize=3)
    axis.set_ylim(bottom=0)


def _neighbours(axis: "Axes", train: list[Row], held_out: list[Row]) -> None:
    from matplotlib import colormaps

    axis.set_title(loc="left", label="kNN accuracy after each block, %")
    blocks = sorted({name for row in held_out for name in row if name.startswith("knn/")})
    for number, block in enumerate(blocks):
        steps, values = points(held_out, block)
        last = number == len(blocks) - 1
        colour = colormaps["viridis"](0.15 + 0.7 * number / max(len(blocks) - 1, 1))
        label = f"block {int(block[4:])}" if len(blocks) <= 6 or number in (0, len(blocks) // 2) or last else None
        axis.plot(steps, [100 * value for value in values], color=colour, marker="o", markersize=2.5, label=label)


_HELD_OUT = {_explained: "explained_variance", _rank: "rankme", _neighbours: "knn/01"}


def _finish(axis: "Axes", ink: str) -> None:
    axis.set_title(axis.get_title("left"), fontsize=10, color=ink, loc="left")
    axis.set_xlabel("step", fontsize=8, color=ink)
    axis.tick_params(labelsize=8, colors=ink)
    axis.set_facecolor("none")
    axis.grid(alpha=0.2, color=ink, linewidth=0.6)
    for side, spine in axis.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(ink)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=7.5, frameon=False, labelcolor=ink)
