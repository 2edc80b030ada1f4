"""GraphCard: what a set of graphs is, measured once and kept with every run that trained on it."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unmask.data.card_json import JsonCard
from unmask.data.card_text import laid_out
from unmask.data.graph import MOST_DEGREE, GraphSource
from unmask.data.graph_files import Graph
from unmask.data.picture import Unreadable
from unmask.data.source import Source
from unmask.data.values import whole_of

MOST_ROWS = 12  # of classes and reasons before the rest is counted
SCALINGS = {
    "rows": "0 and 1, every node's divided by their sum",
    "columns": "each (value - mean) / std over all training nodes",
    "one": "one 1 per node",
}


@dataclass(frozen=True)
class GraphCard(JsonCard):
    """Counts, and statistics of the training graphs.

    channels, widths: what the features of a node are made of, and how many numbers each block has. scaling: of every
    block, a word of SCALINGS. mean, std: of the attributes, where their columns are scaled. nodes, edges: least, median
    and most of a graph. alone: share of the nodes without an edge. one_way: share of the edges without their reverse.
    node_classes: how many; node_parts: labelled nodes of every published part.
    """

    origin: str
    fingerprint: str
    count: int
    classes: tuple[str, ...]
    splits: dict[str, int]
    channels: tuple[str, ...]
    widths: tuple[int, ...]
    scaling: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    nodes: tuple[int, int, int]
    edges: tuple[int, int, int]
    alone: float = 0.0
    one_way: float = 0.0
    loops: int = 0
    node_classes: int = 0
    node_parts: dict[str, int] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Features of a node."""
        return sum(self.widths)

    @property
    def constant(self) -> int:
        """Attributes that are the same for all nodes."""
        return sum(not deviation > 0 for deviation in self.std)

    @cached_property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        scale = [deviation if deviation > 0 else 1.0 for deviation in self.std]
        return torch.tensor(self.mean), torch.tensor(scale)

    def features(self, graph: Graph) -> Float[Tensor, "v f"]:
        """The features of the nodes, block after block. Raises Unreadable where a graph has other ones."""
        found = []
        for name, width, scaling in zip(self.channels, self.widths, self.scaling, strict=True):
            if scaling == "one":
                numbers = graph.types if name == "types" else degrees(graph).clip(max=MOST_DEGREE)
                if numbers is None or not 0 <= numbers.min() <= numbers.max() < width:
                    raise Unreadable(f"has {name} of nodes that the data set, with {width} of them, does not know")
                found.append(torch.eye(width)[torch.from_numpy(numbers)])
                continue
            if graph.attributes is None or graph.attributes.shape[1] != width:
                have = 0 if graph.attributes is None else graph.attributes.shape[1]
                raise Unreadable(f"has nodes with {have} attributes; the data set has {width}")
            values = torch.from_numpy(graph.attributes)
            if scaling == "rows":
                found.append(values / values.sum(1, keepdim=True).clamp(min=1))
            else:
                mean, scale = self._statistics
                found.append((values - mean) / scale)
        return torch.cat(found, dim=1)

    def check_uniform(self) -> None:
        """All graphs of one source have nodes of one kind."""

    def to_text(self, view=None, estimate: str | None = None) -> str:
        """The card for people. view: the training view, which says what it would do. estimate: e.g. of the time."""
        rows = [("data", self.origin), ("graphs", f"{self.count:,}")]
        rows += [("nodes", _spread(self.nodes, self.count)), ("edges", _spread(self.edges, self.count))]
        rows += [("", f"{self.alone:.2%} of the nodes have no edge")] * bool(self.alone)
        rows += [("", f"{self.one_way:.2%} of the edges lead one way; they are used as they are")] * bool(self.one_way)
        rows += [("", f"{self.loops:,} loops left out; every node is its own neighbour in any case")] * bool(self.loops)
        for i, (name, width, scaling) in enumerate(zip(self.channels, self.widths, self.scaling, strict=True)):
            rows.append(("features" if i == 0 else "", f"{name}: {width:,} numbers, {SCALINGS[scaling]}"))
        if self.constant:
            rows.append(("", f"{self.constant} of the attributes never change"))
        shown = ", ".join(self.classes[:MOST_ROWS]) + (", ..." if len(self.classes) > MOST_ROWS else "")
        rows.append(("classes", f"{len(self.classes)} of graphs: {shown}" if self.classes else "none of graphs"))
        if self.node_classes:
            parts = ", ".join(f"{name} {count:,}" for name, count in self.node_parts.items()) or "no published parts"
            rows.append(("", f"{self.node_classes} of nodes ({parts})"))
        rows.append(("splits", ", ".join(f"{name} {count:,}" for name, count in self.splits.items()) or "none"))
        for i, (name, reason) in enumerate(list(self.unreadable.items())[:MOST_ROWS]):
            rows.append((f"unusable {len(self.unreadable)}" if i == 0 else "", f"{name} {reason}"))
        return laid_out(self, rows, view, estimate)


def _spread(found: tuple[int, int, int], count: int) -> str:
    least, middle, most = (f"{number:,}" for number in found)
    return most if count == 1 else f"{least} to {most} a graph, median {middle}"


def degrees(graph: Graph) -> np.ndarray:
    """How many edges arrive at every node."""
    return np.bincount(graph.edge[1], minlength=graph.count)


def inspect_graphs(source: Source) -> GraphCard:
    """The card of the graphs of `source`; its statistics are of these graphs alone."""
    whole = whole_of(source, GraphSource)
    graphs: list[Graph] = []
    unreadable: dict[str, str] = dict(whole.refused)
    for i in range(len(source)):
        try:
            graphs.append(source.read(i))
        except Unreadable as error:
            unreadable[source.items[i].name] = error.reason
    if not graphs:
        raise ValueError(f"none of {len(source)} graphs of {whole.origin} can be used")
    scaling, mean, std = [], (), ()
    for name in whole.blocks:
        if name != "attributes":
            scaling.append("one")
            continue
        values = np.concatenate([graph.attributes for graph in graphs])
        binary = bool(((values == 0) | (values == 1)).all())
        scaling.append("rows" if binary else "columns")
        if not binary:
            mean, std = (tuple(of(values.astype(np.float64), axis=0).tolist()) for of in (np.mean, np.std))
    total = sum(graph.count for graph in graphs)
    edges = sum(graph.edge.shape[1] for graph in graphs)
    labels = [graph.label for graph in graphs if graph.label is not None]
    return GraphCard(
        origin=whole.origin,
        fingerprint=source.fingerprint(),
        count=len(source),
        classes=source.classes,
        splits={name: len(places) for name, places in source.splits().items()},
        channels=whole.blocks,
        widths=whole.widths,
        scaling=tuple(scaling),
        mean=mean,
        std=std,
        nodes=_three([graph.count for graph in graphs]),
        edges=_three([graph.edge.shape[1] for graph in graphs]),
        alone=sum(int((np.bincount(graph.edge.ravel(), minlength=graph.count) == 0).sum()) for graph in graphs) / total,
        one_way=sum(map(_one_way, graphs)) / max(edges, 1),
        loops=sum(graph.loops for graph in graphs),
        node_classes=max((int(label.max()) + 1 for label in labels), default=0),
        node_parts=_node_parts(graphs),
        unreadable=unreadable,
    )


def _three(counts: list[int]) -> tuple[int, int, int]:
    return min(counts), int(np.median(counts)), max(counts)


def _one_way(graph: Graph) -> int:
    """How many edges have no reverse."""
    forward, back = (pair[0] * graph.count + pair[1] for pair in (graph.edge, graph.edge[::-1]))
    return int((~np.isin(forward, back)).sum())


def _node_parts(graphs: list[Graph]) -> dict[str, int]:
    """Labelled nodes of every published part."""
    found = {}
    for number, name in enumerate(("train", "validation", "test")):
        pairs = [(graph.part, graph.label) for graph in graphs if graph.part is not None and graph.label is not None]
        count = sum(int(((part == number) & (label >= 0)).sum()) for part, label in pairs)
        if count:
            found[name] = count
    return found
