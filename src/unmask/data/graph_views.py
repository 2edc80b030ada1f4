"""What the network gets of a graph: scaled features of its nodes, and its edges, padded to the largest of a batch."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unmask.core import Batch
from unmask.data.graph_card import GraphCard
from unmask.data.graph_files import Graph
from unmask.data.loading import stacked
from unmask.data.values import PlainView

PADDED = {"node": 0, "edge": 0, "node_valid": False, "edge_valid": False, "node_label": -1, "node_part": -1}


class GraphView(PlainView):
    """Nodes and edges of a graph as they are; nothing is random. labels: classes and parts of nodes as well."""

    def __init__(self, labels: bool = False):
        self.labels = labels

    def __call__(self, graph: Graph, card: GraphCard, target: None = None) -> dict[str, Tensor]:
        edge = torch.from_numpy(graph.edge)
        found = {
            "node": card.features(graph),
            "node_valid": torch.ones(graph.count, dtype=torch.bool),
            "edge": edge,
            "edge_valid": torch.ones(edge.shape[1], dtype=torch.bool),
        }
        if self.labels and graph.label is not None:
            part = torch.full((graph.count,), -1) if graph.part is None else torch.from_numpy(graph.part)
            found |= {"node_label": torch.from_numpy(graph.label), "node_part": part}
        return found

    def together(self, samples: Sequence[dict[str, Tensor]]) -> Batch:
        return collate_graphs(samples)

    def sentences(self, card: GraphCard) -> list[str]:
        """What training does with the graphs of this card."""
        if card.count == 1:
            return [
                "every step takes the whole graph; none of it is held out, and it is looked at under other masks",
                "classes of nodes are not used",
            ]
        return ["graphs of different sizes in one batch, in an order that the seed decides; no computation on padding"]


def collate_graphs(samples: Sequence[dict[str, Tensor]]) -> Batch:
    """Rows of one tensor for every key, filled up at the end to the longest."""
    batch = {}
    for key in samples[0]:
        tensors = [sample[key] for sample in samples]
        if key in PADDED:
            axis = 1 if key == "edge" else 0
            longest = max(tensor.shape[axis] for tensor in tensors)
            tensors = [_longer(tensor, axis, longest, PADDED[key]) for tensor in tensors]
        batch[key] = stacked(tensors)
    return batch


def _longer(tensor: Tensor, axis: int, length: int, value) -> Tensor:
    behind = tensor.ndim - 1 - axis
    return F.pad(tensor, (0, 0) * behind + (0, length - tensor.shape[axis]), value=value)
