"""Dropout on graphs, drawn from the step's generator."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unmask.core import Context
from unmask.parts.ops.graphs import Packed


class GraphDropout:
    """Drops values of nodes and edges, while training; every graph has noise of its own."""

    def __init__(self, context: Context, graph: Packed, active: bool, edges: tuple[int, ...] | None = None):
        self.context, self.graph, self.active = context, graph, active
        self.edges = graph.edges if edges is None else edges

    def __call__(self, x: Float[Tensor, "n *k"], rate: float, edges: bool = False) -> Float[Tensor, "n *k"]:
        """edges: x is of the edges and the loops behind them."""
        if not self.active or not rate:
            return x
        counts = (self.edges, self.graph.nodes) if edges else (self.graph.nodes,)
        noise = torch.cat([self.context.ragged(count, *x.shape[1:], device=x.device) for count in counts])
        return x * (noise >= rate).to(x.dtype).div_(1 - rate)

    def fewer(self, edge: Int64[Tensor, "2 e"], rate: float) -> Int64[Tensor, "2 m"]:
        """The edges without a share of them."""
        if not self.active or not rate:
            return edge
        return edge[:, self.context.ragged(self.graph.edges, device=edge.device) >= rate]

    def on(self, edge: Int64[Tensor, "2 e"]) -> "GraphDropout":
        """The same on other edges of the graphs."""
        counts = self.graph.owner[edge[0]].bincount(minlength=len(self.graph.nodes))
        return GraphDropout(self.context, self.graph, self.active, tuple(counts.tolist()))
