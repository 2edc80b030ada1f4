"""GraphMAE: hides the features of half of the nodes and predicts their direction from the neighbours.

New here: masked autoencoding of graphs. Hidden nodes get a learned token, a few get the features of another node. What
the encoder says of them is hidden once more before a one-layer graph decoder, and the error is a power of one minus
cosine, so that neither the scale of features nor easy nodes count.
Paper: Z. Hou et al., "GraphMAE: Self-Supervised Masked Graph Autoencoders", KDD 2022, https://arxiv.org/abs/2205.10803
Reference: THUDM/GraphMAE, graphmae/models/{edcoder,gat,gin,loss_func}.py (MIT), whose two roundings may leave a hidden
node as it is; it counts in the loss: so it is here.
Differs: of a batch of graphs the reference hides a share of all nodes together, here of every graph (`over` as "batch"
does as the reference); at least one node is hidden and one seen. Dropped edges never double a loop. Biases are not
decayed. A share of hidden nodes is never replaced where it rounds to none, which the reference cannot run.
Not here: "gcn" and "dotgat" layers, and decoding from all layers at once.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from unmask.core import Batch, Card, Context, Features, Mask, Method, Recipe, check_choice
from unmask.parts.losses.cosine import scaled_cosine
from unmask.parts.masks.nodes import NodeMask
from unmask.parts.nets.graph_decoder import GraphDecoder
from unmask.parts.nets.graph_dropout import GraphDropout
from unmask.parts.nets.graph_net import GraphNet
from unmask.parts.ops.graphs import READOUTS, Packed, pack, rank_within, readout

CARD = Card(
    title="GraphMAE",
    paper="https://arxiv.org/abs/2205.10803",
    year=2022,
    data="graph",
    hides="the features of random nodes",
    predicts="the features of hidden nodes, by cosine",
    family="masked autoencoder",
    id=38,
    claim="masking again before the decoder and a scaled cosine error make reconstruction match contrast on graphs",
    usual="linear probe: Cora 84.2, Citeseer 73.4; support vectors on whole graphs: PROTEINS 75.3, MUTAG 88.2",
)

ERRORS = ("cosine", "square")


def replacements(
    hidden: Bool[Tensor, "v"],
    group: Int64[Tensor, "v"],
    roles: Float[Tensor, "v"],
    sources: Float[Tensor, "v"],
    share: float,
) -> tuple[Bool[Tensor, "v"], Int64[Tensor, "v"]]:
    """Which hidden nodes get the token, and from which node every node takes its features, mostly itself.

    Of M hidden nodes of a group the first int((1 - share) M) in the order of `roles` get the token, the last
    int(share M) the features of as many different nodes of the group, the first in the order of `sources`.
    """
    places = hidden.nonzero().squeeze(-1)
    own = group[places]
    total = own.bincount(minlength=int(group.max()) + 1)[own].double()
    rank = rank_within(roles[places], own)
    replaced = total.long() - (share * total).long()
    token = torch.zeros_like(hidden)
    token[places[rank < ((1 - share) * total).long()]] = True
    taken = torch.arange(len(hidden), device=hidden.device)
    late = rank >= replaced
    order = sources.argsort(stable=True)
    order = order[group[order].argsort(stable=True)]
    sizes = group.bincount()
    first = sizes.cumsum(0) - sizes
    taken[places[late]] = order[first[own[late]] + (rank - replaced)[late]]
    return token, taken


@dataclass(frozen=True, eq=False)
class NodeView:
    """What one view hides of every graph, and what it predicts of every node, in the units of the batch."""

    hidden: Bool[Tensor, "b v"]
    prediction: Float[Tensor, "b v f"]


class GraphMAE(Method):
    """replace: share of the hidden nodes that get another node's features. power: of the cosine error.

    error: "cosine", or "square" for the paper's ablation. drop_edges: share that the encoder does not see.
    readout: how the nodes of a graph become its vector: "mean", "max" or "sum".
    """

    def __init__(
        self,
        encoder: GraphNet,
        decoder: GraphDecoder | None = None,
        mask: NodeMask | None = None,
        replace: float = 0.05,
        power: float = 3.0,
        error: str = "cosine",
        drop_edges: float = 0.0,
        readout: str = "mean",
    ):
        super().__init__()
        check_choice("error", error, ERRORS)
        check_choice("readout", readout, READOUTS)
        if not 0 <= replace < 1 or not 0 <= drop_edges < 1 or power <= 0:
            raise ValueError(
                f"replace {replace} and drop_edges {drop_edges} must be at least 0 and below 1, power {power} above 0"
            )
        self.encoder, self.decoder, self.mask = encoder, decoder or GraphDecoder(encoder), mask or NodeMask()
        self.replace, self.power, self.error = replace, power, error
        self.drop_edges, self.readout = drop_edges, readout
        self.token = nn.Parameter(torch.zeros(1, encoder.channels))

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        graph = pack(batch)
        hidden = (self.mask(self, batch, context) if mask is None else mask).hidden[graph.valid]
        found, wanted = self.predict_nodes(graph, hidden, context)[hidden].float(), graph.node[hidden].float()
        if self.error == "cosine":
            error = scaled_cosine(found, wanted, self.power)
        else:
            error = F.mse_loss(found, wanted, reduction="none").mean(-1)
        return {"reconstruction": error.sum() / max(len(error), 1)}

    def predict_nodes(self, graph: Packed, hidden: Bool[Tensor, "v"], context: Context) -> Float[Tensor, "v f"]:
        """The decoder's features of every node, from the graph with the hidden ones covered."""
        node = self.covered(graph, hidden, context)
        drop = GraphDropout(context, graph, self.training)
        edge = drop.fewer(graph.edge, self.drop_edges)
        seen = self.encoder(graph, node, drop if edge is graph.edge else drop.on(edge), edge)[-1]
        return self.decoder(seen, graph, hidden, drop)

    def covered(self, graph: Packed, hidden: Bool[Tensor, "v"], context: Context) -> Float[Tensor, "v f"]:
        """The features of all nodes, hidden ones replaced by the token or by another node's."""
        node, token = graph.node, hidden
        if self.replace and bool(hidden.any()):
            group = graph.owner if self.mask.over == "graph" else torch.zeros_like(graph.owner)
            noise = context.ragged(graph.nodes, 2, device=node.device)
            token, taken = replacements(hidden, group, noise[:, 0], noise[:, 1], self.replace)
            node = node[taken]
        return torch.where(token.unsqueeze(-1), self.token.to(node.dtype), node)

    def features(self, batch: Batch) -> Features:
        """tokens: every node, zeros in the padding. pooled: the readout of every graph. blocks: after every layer."""
        graph = pack(batch)
        layers = [layer.float() for layer in self.encoder(graph, graph.node)]
        blocks = tuple(readout(layer, graph.owner, len(graph.valid), self.readout) for layer in layers)
        return Features(blocks[-1], graph.padded(layers[-1]), (), blocks)

    @torch.no_grad()
    def views(self, batch: Batch, context: Context) -> list[NodeView]:
        """The one view that there is, for looking at."""
        graph = pack(batch)
        hidden = self.mask(self, batch, context).hidden
        return [NodeView(hidden, graph.padded(self.predict_nodes(graph, hidden[graph.valid], context).float()))]


RECIPE = Recipe(
    optimizer="adam",
    lr=0.256,  # the reference's 1e-3 on one graph; rates are per 256 samples
    batch=1,
    epochs=1500,
    warmup=0,
    weight_decay=2e-4,
    betas=(0.9, 0.999),
    crop=None,
    flip=False,
)


def tiny() -> tuple[GraphMAE, Batch]:
    generator = torch.Generator().manual_seed(0)
    node, edge = torch.randn(4, 9, 5, generator=generator), torch.randint(9, (4, 2, 14), generator=generator)
    sizes = torch.tensor([9, 6, 7, 8])
    valid = torch.arange(9) < sizes.unsqueeze(-1)
    used = (edge < sizes[:, None, None]).all(1) & (edge[:, 0] != edge[:, 1])
    batch = {"node": node * valid.unsqueeze(-1), "node_valid": valid, "edge": edge, "edge_valid": used}
    return GraphMAE(GraphNet(5, width=8, heads=2), replace=0.3), batch
