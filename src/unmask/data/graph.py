"""Graphs as samples: a data set of many small ones, or one large one whose nodes are what is asked about."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unmask.data.graph_files import Found, Graph, read_graphs, widths
from unmask.data.picture import Unreadable
from unmask.data.source import Item, Listing
from unmask.data.values import ValueSource

BLOCKS = ("attributes", "types", "degree")  # of which the features of a node are made
MOST_DEGREE = 400  # larger ones count as this; the released code of GraphMAE


class GraphSource(ValueSource):
    """Graphs in memory.

    blocks: what the features of a node are made of; by default attributes and types where there are any, else the
    number of edges that arrive. widths: numbers of each.
    """

    noun = "graphs"

    def __init__(self, origin: str, found: Sequence[Found], blocks: Sequence[str] | None = None, refused=None):
        labels = {one.label for one in found if one.label is not None}
        items = [
            Item(one.name, one.label if len(labels) > 1 else None, one.split, one.size or one.graph.count)
            for one in found
        ]
        super().__init__(origin, Listing(items), refused=refused)
        self.graphs = [one.graph for one in found]
        if all(graph.fault for graph in self.graphs):
            raise ValueError(
                f"none of {len(found)} graphs of {origin} can be used; {found[0].name} {found[0].graph.fault}"
            )
        attributes, kinds, degree = widths(self.graphs)
        known = {"attributes": attributes, "types": kinds, "degree": min(degree, MOST_DEGREE) + 1}
        usual = [name for name in ("attributes", "types") if known[name]] or ["degree"]
        self.blocks = tuple(usual if blocks is None else blocks)
        for name in self.blocks:
            if not known.get(name):
                there = ", ".join(name for name in BLOCKS if known[name])
                raise ValueError(f"nodes of {origin} have no {name!r}; --channels may name {there}")
        self.widths = tuple(known[name] for name in self.blocks)
        self.transductive = len(found) == 1

    def read(self, i: int) -> Graph:
        """One graph; raises Unreadable with the reason."""
        graph = self.graphs[i]
        if graph.fault:
            raise Unreadable(graph.fault)
        return graph

    def fingerprint(self) -> str:
        """Of names and values."""
        digest = hashlib.sha256(f"{self.blocks} {self.widths}\n".encode())
        for item, graph in zip(self.items, self.graphs, strict=True):
            digest.update(f"{item.name} {item.label} {graph.count} {graph.fault}\n".encode())
            for values in (graph.edge, graph.attributes, graph.types, graph.label, graph.part):
                if values is not None:
                    digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


def open_graphs(spec: str | Path, blocks: Sequence[str] | None = None) -> GraphSource:
    """The graphs that `spec` names. blocks: what the features of nodes are made of, in order; see `BLOCKS`."""
    found, refused = read_graphs(spec)
    return GraphSource(str(spec), found, blocks, refused)
