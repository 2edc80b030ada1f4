"""What a method hides and predicts of graphs, as drawings of nodes and edges."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64

from unmask.core import Batch, Context
from unmask.data.graph_card import GraphCard
from unmask.evaluate.features import frozen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NODES = 60  # drawn of a graph: what lies nearest to a hidden node
ROUNDS = 120  # of the layout
EDGE, HIDDEN, OUTLINE = "#b9bec7", "#ffffff", "#1c1f24"
CELL = 3.1  # inches


def graph_panel(method: Any, batch: Batch, card: GraphCard, context: Context) -> "Figure":
    """One row per graph: its nodes coloured by their features, what is hidden, and how near each prediction comes."""
    from matplotlib.figure import Figure

    with torch.no_grad(), frozen(method):
        (view,) = method.views(batch, context)
    rows = len(batch["node"])
    height = CELL * rows + 0.8
    figure = Figure(figsize=(3 * CELL, height), dpi=100)
    figure.subplots_adjust(0.02, 0.5 / height, 0.98, 1 - 0.35 / height, 0.05, 0.08)
    axes = figure.subplots(rows, 3, squeeze=False)
    for row, drawn in enumerate(axes):
        valid = batch["node_valid"][row].cpu()
        node = batch["node"][row].float().cpu()
        edge = batch["edge"][row][:, batch["edge_valid"][row]].cpu().numpy()
        hidden = view.hidden[row].cpu()
        alike = F.cosine_similarity(view.prediction[row].float().cpu(), node, dim=-1)
        chosen = near(edge, _middle(edge, hidden.numpy()), valid.numpy())
        edge, place = within(edge, chosen), layout(within(edge, chosen), len(chosen))
        kind = node[chosen].argmax(1).numpy() % 20
        mark = hidden[chosen].numpy()
        _draw(drawn[0], place, edge, kind, np.zeros_like(mark), {"cmap": "tab20", "vmin": 0, "vmax": 19})
        _draw(drawn[1], place, edge, kind, mark, {"cmap": "tab20", "vmin": 0, "vmax": 19})
        scale = {"cmap": "RdYlGn", "vmin": -1, "vmax": 1}
        _draw(drawn[2], place, edge, alike[chosen].numpy(), ~mark, scale)
        share = float(alike[hidden].mean()) if bool(hidden.any()) else float("nan")
        drawn[2].set_xlabel(f"mean cosine of {int(hidden.sum())} hidden nodes: {share:.2f}", fontsize=7)
        count = int(valid.sum())
        shown = "all of them" if len(chosen) == count else f"{len(chosen)} near a hidden one"
        drawn[0].set_xlabel(f"{count:,} nodes, {shown}", fontsize=7)
    for axis, title in zip(axes[0], ("nodes by their largest feature", "what is hidden", "predictions"), strict=True):
        axis.set_title(title, fontsize=9)
    figure.supxlabel(
        "white: hidden in the middle column, seen in the right one, where hidden nodes are coloured by the cosine of"
        " prediction and truth,\nfrom -1 (red) to 1 (green)",
        fontsize=7,
        color="#555555",
        y=0.04 / height,
    )
    return figure


def _middle(edge: Int64[np.ndarray, "2 e"], hidden: Bool[np.ndarray, "v"]) -> int:
    """The hidden node with most neighbours."""
    degree = np.bincount(edge[1], minlength=len(hidden))
    return int(np.where(hidden, degree, -1).argmax())


def near(
    edge: Int64[np.ndarray, "2 e"], start: int, valid: Bool[np.ndarray, "v"], most: int = MOST_NODES
) -> Int64[np.ndarray, "m"]:
    """All nodes, or so many of those that are reached first from `start`."""
    if valid.sum() <= most:
        return np.flatnonzero(valid)
    found, front = [start], {start}
    while front and len(found) < most:
        reached = np.unique(edge[1][np.isin(edge[0], list(front))])
        front = set(reached.tolist()) - set(found)
        found += sorted(front)[: most - len(found)]
    return np.array(sorted(found))


def within(edge: Int64[np.ndarray, "2 e"], chosen: Int64[np.ndarray, "m"]) -> Int64[np.ndarray, "2 k"]:
    """The edges between chosen nodes, by the places of these."""
    inside = edge[:, np.isin(edge, chosen).all(axis=0)]
    return np.searchsorted(chosen, inside)


def layout(edge: Int64[np.ndarray, "2 e"], count: int, rounds: int = ROUNDS) -> Float[np.ndarray, "v 2"]:
    """Places in the plane: edges pull, nodes push. Source: Fruchterman and Reingold 1991."""
    place = np.random.default_rng(0).uniform(-1, 1, (count, 2))
    usual = 1.5 / count**0.5
    for heat in np.linspace(0.2, 0.005, rounds):
        apart = place[:, None] - place
        length = np.sqrt((apart**2).sum(-1)) + 1e-6
        force = (apart * (usual**2 / length**2)[..., None]).sum(1)
        pull = (place[edge[0]] - place[edge[1]]) * length[edge[0], edge[1]][:, None] / usual
        np.add.at(force, edge[0], -pull / 2)
        np.add.at(force, edge[1], pull / 2)
        force -= place * usual  # parts without edges between them stay near
        size = np.sqrt((force**2).sum(-1, keepdims=True)) + 1e-9
        place = place + force / size * np.minimum(size, heat)
    return place


def _draw(
    axis: "Axes",
    place: Float[np.ndarray, "v 2"],
    edge: Int64[np.ndarray, "2 e"],
    value: np.ndarray,
    blank: Bool[np.ndarray, "v"],
    scale: dict[str, Any],
) -> None:
    from matplotlib.collections import LineCollection

    axis.add_collection(LineCollection(place[edge.T], colors=EDGE, linewidths=0.7, zorder=1))
    outline: dict[str, Any] = {"edgecolors": OUTLINE, "linewidths": 0.6, "s": 34}
    axis.scatter(*place[~blank].T, c=value[~blank], zorder=2, **outline, **scale)
    axis.scatter(*place[blank].T, c=HIDDEN, zorder=2, **outline)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.margins(0.06)
