"""Graphs of a batch as one graph of many parts: packed without padding, passed along edges, and read out again."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from unmask.core import Batch, check_choice

READOUTS = ("mean", "max", "sum")


@dataclass(frozen=True, eq=False)
class Packed:
    """Nodes and edges of all graphs, one graph after the other, by running numbers.

    edge: from, to. owner: the graph of every node. nodes, edges: how many of them every graph has.
    """

    node: Float[Tensor, "v f"]
    edge: Int64[Tensor, "2 e"]
    owner: Int64[Tensor, "v"]
    valid: Bool[Tensor, "b n"]
    nodes: tuple[int, ...]
    edges: tuple[int, ...]

    def padded(self, x: Float[Tensor, "v *k"]) -> Float[Tensor, "b n *k"]:
        """Rows of the nodes in the places of the batch, zeros in the padding."""
        found = x.new_zeros(*self.valid.shape, *x.shape[1:])
        found[self.valid] = x
        return found


def pack(batch: Batch) -> Packed:
    """The graphs of a batch without their padding. Raises ValueError for an edge to a node that is not there."""
    valid, used = batch["node_valid"], batch["edge_valid"]
    number = (valid.flatten().cumsum(0) - 1).reshape(valid.shape)
    edge = batch["edge"]
    ends = edge.masked_fill(~used.unsqueeze(1), 0).flatten(1)
    if ends.shape[1] and not bool((valid.gather(1, ends) | ~used.repeat(1, 2)).all()):
        raise ValueError("an edge of the batch leads to a node that is padding; count nodes within their own graph")
    running = number.gather(1, ends).reshape(edge.shape).transpose(0, 1)[:, used]
    nodes, edges = valid.sum(1), used.sum(1)
    owner = torch.arange(len(valid), device=valid.device).repeat_interleave(nodes)
    node = batch["node"].flatten(0, 1) if bool(valid.all()) else batch["node"][valid]
    return Packed(node, running, owner, valid, tuple(nodes.tolist()), tuple(edges.tolist()))


def with_loops(edge: Int64[Tensor, "2 e"], count: int) -> Int64[Tensor, "2 m"]:
    """The edges and, behind them, one from every node to itself."""
    own = torch.arange(count, device=edge.device)
    return torch.cat([edge, own.expand(2, -1)], dim=1)


def gathered(values: Float[Tensor, "e *k"], target: Int64[Tensor, "e"], count: int) -> Float[Tensor, "n *k"]:
    """The sum of what arrives at every one of `count` nodes."""
    return values.new_zeros(count, *values.shape[1:]).index_add(0, target, values)


def edge_softmax(scores: Float[Tensor, "e h"], target: Int64[Tensor, "e"], count: int) -> Float[Tensor, "e h"]:
    """Scores as shares that sum to 1 over the edges that arrive at a node."""
    with torch.no_grad():
        index = target.unsqueeze(-1).expand_as(scores)
        most = scores.new_zeros(count, scores.shape[1]).scatter_reduce(0, index, scores, "amax", include_self=False)
    exponents = (scores - most[target]).exp()
    return exponents / gathered(exponents, target, count)[target]


def readout(x: Float[Tensor, "v d"], owner: Int64[Tensor, "v"], count: int, kind: str = "mean") -> Float[Tensor, "b d"]:
    """One vector for each of `count` graphs from those of its nodes: their mean, largest value or sum."""
    check_choice("readout", kind, READOUTS)
    if kind == "max":
        index = owner.unsqueeze(-1).expand_as(x)
        return x.new_zeros(count, x.shape[1]).scatter_reduce(0, index, x, "amax", include_self=False)
    total = gathered(x, owner, count)
    if kind == "sum":
        return total
    return total / gathered(torch.ones_like(x[:, :1]), owner, count).clamp(min=1)


def rank_within(scores: Float[Tensor, "n"], group: Int64[Tensor, "n"]) -> Int64[Tensor, "n"]:
    """The place of every score, counted from 0, among those of its group."""
    order = scores.argsort(stable=True)
    order = order[group[order].argsort(stable=True)]
    sizes = group.bincount()
    first = (sizes.cumsum(0) - sizes)[group[order]]
    return torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device) - first)
