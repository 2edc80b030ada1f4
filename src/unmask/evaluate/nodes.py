"""Nodes of graphs as samples: what features of nodes are worth for their classes, beside what needs no network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unmask.core import Batch, Context, Features, Mask, Method, to_device
from unmask.evaluate.features import frozen, represent
from unmask.evaluate.knn import KNN, accuracy
from unmask.evaluate.labels import accuracy_of_commonest
from unmask.evaluate.linear import Linear
from unmask.evaluate.split import TEST, VALIDATION, hold_out
from unmask.parts.ops.graphs import gathered, pack, with_loops

TRAINING, VALIDATING, TESTING = range(3)
STEPS = 2  # over which raw features are averaged with those of neighbours
NODES, SMOOTHED, RAW = "network", f"raw features averaged over {STEPS} steps", "raw features"
PROBES = {"linear": Linear, "knn": KNN}


class NodesAsSamples(Method):
    """A method of graphs whose features are those of single nodes, the nodes of all graphs one after the other."""

    def __init__(self, method: Method):
        super().__init__()
        self.method = method

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        return self.method.losses(batch, context, mask)

    def features(self, batch: Batch) -> Features:
        """Raises ValueError for a method that says nothing of single nodes."""
        tokens = self.method.features(batch).tokens
        if tokens is None:
            raise ValueError(f"{type(self.method).__name__} has no features of single nodes")
        return Features(tokens[batch["node_valid"]])


@dataclass(frozen=True, eq=False)
class NodeTable:
    """Features of all nodes, by the network and raw, their classes (-1: unknown) and parts (-1: none)."""

    features: dict[str, Float[Tensor, "v d"]]
    label: Int64[Tensor, "v"]
    part: Int64[Tensor, "v"]

    def rows(self, part: int) -> Int64[Tensor, "m"]:
        """The nodes of a part that have a class."""
        return ((self.part == part) & (self.label >= 0)).nonzero().squeeze(-1)


def smoothed(batch: Batch, steps: int = STEPS) -> Float[Tensor, "v f"]:
    """Raw features, averaged again and again over a node and its neighbours: a graph network that learns nothing."""
    graph = pack(batch)
    source, target = with_loops(graph.edge, len(graph.node))
    count = gathered(torch.ones(len(target), 1, device=target.device), target, len(graph.node))
    x = graph.node
    for _ in range(steps):
        x = gathered(x[source], target, len(x)) / count
    return x


def node_table(method: Method, batches: Iterable[Batch], device: torch.device | str = "cpu") -> NodeTable:
    """The nodes of batches with "node_label" and "node_part". Raises ValueError where no node has a class."""
    found: dict[str, list[Tensor]] = {NODES: [], SMOOTHED: [], RAW: []}
    labels, parts = [], []
    nodes = NodesAsSamples(method.to(device))
    with frozen(nodes):
        for batch in batches:
            if "node_label" not in batch:
                raise ValueError("the data has no classes of nodes; give a file with `y`, one class per node")
            batch = to_device(batch, device)
            valid = batch["node_valid"]
            found[NODES].append(represent(nodes, batch, device).pooled.float().cpu())
            found[SMOOTHED].append(smoothed(batch).cpu())
            found[RAW].append(batch["node"][valid].cpu())
            labels.append(batch["node_label"][valid].cpu())
            parts.append(batch["node_part"][valid].cpu())
    if not labels:
        raise ValueError("there is nothing to evaluate: the batches are empty; check the data and its split")
    return NodeTable({name: torch.cat(x) for name, x in found.items()}, torch.cat(labels), torch.cat(parts))


def divided_nodes(table: NodeTable, seed: int = 0) -> NodeTable:
    """The table with a part for every labelled node where none is published: shares held out in every class."""
    if bool((table.part >= 0).any()):
        return table
    part = table.part.clone()
    rows = (table.label >= 0).nonzero().squeeze(-1)
    part[rows] = TRAINING
    for name, share in ((TESTING, TEST), (VALIDATING, VALIDATION)):
        rows = (part == TRAINING).nonzero().squeeze(-1)
        part[rows[hold_out(len(rows), table.label[rows], share, seed)[1]]] = name
    return NodeTable(table.features, table.label, part)


def node_classification(
    table: NodeTable, probes: Sequence[str] = ("linear", "knn"), device: torch.device | str = "cpu"
) -> dict[str, dict[str, float]]:
    """Test accuracy by features and probe, and that of naming the commonest class.

    Probes learn from the nodes of the training part and are chosen by the validation part.
    """
    rows = [table.rows(part) for part in (TRAINING, VALIDATING, TESTING)]
    for name, found in zip(("training", "validation", "test"), rows, strict=True):
        if not len(found):
            raise ValueError(f"no node of the {name} part has a class; publish parts with classes, or none at all")
    labels = [table.label[row].to(device) for row in rows]
    classes = int(table.label.max()) + 1
    scores: dict[str, dict[str, float]] = {}
    for name, features in table.features.items():
        train, validation, test = (features[row].to(device) for row in rows)
        scores[name] = {}
        for probe in probes:
            (fitted,) = PROBES[probe]().fit(train, labels[0], validation, labels[1], classes)
            scores[name][probe] = accuracy(fitted(test), labels[2])
    return scores | {"commonest class": dict.fromkeys(probes, accuracy_of_commonest(labels[0], labels[2]))}
