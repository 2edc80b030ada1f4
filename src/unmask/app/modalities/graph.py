"""Graphs: one large one, or many small ones."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from unmask.app.graph_plots import graph_panel
from unmask.app.kinds import refuse_options_of_pictures
from unmask.core import Batch, Context, Method, Recipe
from unmask.core.assembly import Argument
from unmask.data.graph import GraphSource, open_graphs
from unmask.data.graph_card import SCALINGS, GraphCard, inspect_graphs
from unmask.data.graph_views import GraphView
from unmask.data.source import Source
from unmask.evaluate.monitor import held_out
from unmask.evaluate.nodes import NodesAsSamples

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOUN = GraphSource.noun
PROBES = ("graph_classification",)
USAGE = (
    "evaluate {run} {data} --with node_classification",
    "evaluate {run} {data} --with graph_classification",
    "embed {run} {data} --out features.parquet",
    "view {run} {data}",
)
INPUT = ("node", "[b v f], scaled by `run.card.features(graph)`; with node_valid, edge and edge_valid beside it")


def open_data(spec: str | Path, where: dict[str, Any], settings: dict[str, Any]) -> GraphSource:
    """The graphs that `spec` names; channels are what the features of nodes are made of."""
    return open_graphs(spec, where.get("channels"))


def open_like(spec: str | Path, where: dict[str, Any], settings: dict[str, Any], card: GraphCard) -> GraphSource:
    """The graphs that `spec` names. Raises ValueError where their nodes have other features than the card's."""
    source = open_graphs(spec, card.channels)
    for name, width, known in zip(source.blocks, source.widths, card.widths, strict=True):
        if width > known or (name == "attributes" and width != known):
            raise ValueError(
                f"nodes of {source.origin} have {width} {name}, the run was trained on {known}; give data of this kind"
            )
    return source


def measure(source: Source, everything: bool = False) -> GraphCard:
    """The data card; all training graphs are measured in any case."""
    return inspect_graphs(source)


def card_from_json(facts: dict[str, Any]) -> GraphCard:
    return GraphCard.from_json(facts)


def settings_of_data(card: GraphCard, known: dict[str, Argument], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings among `known` that follow from the data: the features of a node."""
    return {"channels": card.width} if "channels" in known else {}


def check(card: GraphCard, settings: dict[str, Any], where: dict[str, Any]) -> None:
    """Raises ValueError for graphs in which nothing can be hidden, and for what is asked of pictures only."""
    if card.nodes[2] < 2:
        raise ValueError(f"every graph of {card.origin} has a single node; nothing can be hidden")
    if card.width - card.constant < 1:
        raise ValueError(f"all features of the nodes of {card.origin} are constant; add degree with --channels")
    refuse_options_of_pictures(where, "graphs are taken as they are")


def training_view(method: Method, published: Recipe, settings: dict[str, Any], where: dict[str, Any]) -> GraphView:
    return GraphView()


def evaluation_view(settings: dict[str, Any], where: dict[str, Any]) -> GraphView:
    return GraphView()


def look(
    method: Method,
    batches: Iterable[Batch],
    seed: int,
    device: torch.device,
    context: Context,
    references: Iterable[Batch] | None,
) -> dict[str, float]:
    """Numbers under the method's own masks; of one graph alone, features are those of its nodes."""
    batches = list(batches)
    if sum(len(batch["node"]) for batch in batches) > 1:
        return held_out(method, batches, seed, device, None, context, references)
    batches = [{key: value for key, value in batch.items() if key != "index"} for batch in batches]
    return held_out(NodesAsSamples(method), batches, seed, device, None, context)


def draws(method: Method) -> bool:
    """Whether the method says what it hides and predicts."""
    return hasattr(method, "views")


def panel(method: Method, batch: Batch, card: GraphCard, context: Context) -> "Figure":
    return graph_panel(method, batch, card, context)


def described(card: GraphCard) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The card for a report: facts, and one row for every block of features."""
    facts = asdict(card)
    blocks = zip(card.channels, card.widths, card.scaling, strict=True)
    table = [{"features": name, "numbers": width, "scaled": SCALINGS[how]} for name, width, how in blocks]
    for name in ("channels", "widths", "scaling", "mean", "std"):
        facts.pop(name)
    for name in ("nodes", "edges"):
        facts[name] = f"{facts[name][0]} to {facts[name][2]}, median {facts[name][1]}"
    facts["unreadable"] = "; ".join(f"{name} {why}" for name, why in list(card.unreadable.items())[:5]) or "none"
    return facts, table
