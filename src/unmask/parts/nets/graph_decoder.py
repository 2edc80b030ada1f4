"""From what an encoder says of nodes back to their features."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import check_choice
from unmask.parts.nets.graph_net import ACTIVATIONS, AttentionLayer, Drop, GraphNet, SumLayer, keep_all
from unmask.parts.nets.linear import Linear
from unmask.parts.ops.graphs import Packed, with_loops

KINDS = ("gat", "gin", "mlp", "linear")
DROPPED = 0.2  # before the last layer of an "mlp"; the released code of GraphMAE


class GraphDecoder(nn.Module):
    """A map without bias, then one layer on the graph, or on every node alone ("mlp", "linear").

    kind: None for the encoder's. remask: what the encoder said of hidden nodes becomes 0 before a layer on the graph,
    so that they are predicted from their neighbours. Source: Hou et al. 2022 (GraphMAE).
    """

    def __init__(self, encoder: GraphNet, kind: str | None = None, remask: bool = True):
        super().__init__()
        self.kind = encoder.kind if kind is None else kind
        check_choice("decoder_kind", self.kind, KINDS)
        self.remask = remask and self.kind in ("gat", "gin")
        width, outputs, drops = encoder.width, encoder.channels, (encoder.features_dropped, encoder.attention_dropped)
        self.embed = Linear(width, width, bias=False)
        self.layer: nn.Module
        if self.kind == "gat":
            self.layer = AttentionLayer(width, outputs, 1, drops)
        elif self.kind == "gin":
            self.layer = SumLayer(width, outputs, width, drops[0], False, encoder.norm, encoder.activation, last=False)
        elif self.kind == "mlp":
            self.layer = nn.ModuleList([Linear(width, width), ACTIVATIONS["prelu"](), Linear(width, outputs)])
        else:
            self.layer = Linear(width, outputs)

    def forward(
        self, x: Float[Tensor, "v d"], graph: Packed, hidden: Bool[Tensor, "v"] | None = None, drop: Drop = keep_all
    ) -> Float[Tensor, "v f"]:
        x = self.embed(x)
        if self.remask and hidden is not None:
            x = x.masked_fill(hidden.unsqueeze(-1), 0.0)
        if self.kind in ("gat", "gin"):
            return self.layer(x, with_loops(graph.edge, len(x)), drop)
        if isinstance(self.layer, nn.ModuleList):
            first, activation, last = self.layer
            return last(drop(activation(first(x)), DROPPED, False))
        return self.layer(x)
