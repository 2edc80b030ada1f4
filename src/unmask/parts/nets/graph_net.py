"""Networks on graphs: layers that pass what nodes know along the edges."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from unmask.core import check_choice
from unmask.parts.nets.linear import Linear
from unmask.parts.ops.graphs import Packed, edge_softmax, gathered, with_loops

KINDS = ("gat", "gin")
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda width: nn.Identity(),
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "prelu": nn.PReLU,
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "none": nn.Identity,
}
SLOPE = 0.2  # of the leaky ReLU before attention's softmax; Velickovic et al. 2018
GAIN = nn.init.calculate_gain("relu")

Drop = Callable[[Tensor, float, bool], Tensor]  # values, share, whether they are those of edges


def keep_all(x: Tensor, rate: float, edges: bool = False) -> Tensor:
    """Dropout that drops nothing."""
    return x


class AttentionLayer(nn.Module):
    """Every node takes the mean of its neighbours and itself, weighted by attention; heads stand side by side.

    dropout: of the features, and of the attention. A single head that widens maps after the mean, which is the same for
    less work. Source: Velickovic et al. 2018 (GAT).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        heads: int = 1,
        dropout: tuple[float, float] = (0.0, 0.0),
        residual: bool = False,
        norm: str = "none",
        activation: str = "none",
    ):
        super().__init__()
        if outputs % heads:
            raise ValueError(f"width {outputs} cannot be divided into {heads} heads; choose a divisor")
        self.heads, self.dropout = heads, dropout
        self.map = Linear(inputs, outputs, bias=False)
        self.sender = nn.Parameter(torch.empty(1, heads, outputs // heads))
        self.receiver = nn.Parameter(torch.empty(1, heads, outputs // heads))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.skip = _skip(inputs, outputs, residual)
        self.norm, self.activation = NORMS[norm](outputs), ACTIVATIONS[activation]()
        for weight in (self.map.weight, self.sender, self.receiver):
            nn.init.xavier_normal_(weight, gain=GAIN)

    def forward(
        self, x: Float[Tensor, "v k"], edge: Int64[Tensor, "2 e"], drop: Drop = keep_all
    ) -> Float[Tensor, "v d"]:
        x = drop(x, self.dropout[0], False)
        late = self.heads == 1 and self.map.in_features < self.map.out_features
        values = (x if late else self.map(x)).unflatten(-1, (self.heads, -1))
        sender, receiver = ((a @ self.map.weight if late else a) for a in (self.sender, self.receiver))
        source, target = edge
        sent, received = (values * sender).sum(-1), (values * receiver).sum(-1)
        scores = F.leaky_relu(sent[source] + received[target], SLOPE).float()
        weights = drop(edge_softmax(scores, target, len(x)), self.dropout[1], True).to(values.dtype)
        found = gathered(weights.unsqueeze(-1) * values[source], target, len(x)).flatten(1)
        found = (self.map(found) if late else found) + self.bias
        if self.skip is not None:
            found = found + self.skip(x)
        return self.activation(self.norm(found))


class SumLayer(nn.Module):
    """Two linear layers on the sum of a node, itself once more and its neighbours. Source: Xu et al. 2019 (GIN).

    last: whether norm and activation follow the second linear layer as well.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        dropout: float = 0.0,
        residual: bool = False,
        norm: str = "batch",
        activation: str = "prelu",
        last: bool = True,
    ):
        super().__init__()
        self.dropout = dropout
        self.first = Linear(inputs, width)
        self.between = nn.Sequential(NORMS[norm](width), ACTIVATIONS[activation]())
        self.second = Linear(width, outputs)
        self.after = nn.Sequential(NORMS[norm](outputs), ACTIVATIONS[activation]()) if last else nn.Identity()
        self.skip = _skip(inputs, outputs, residual)

    def forward(
        self, x: Float[Tensor, "v k"], edge: Int64[Tensor, "2 e"], drop: Drop = keep_all
    ) -> Float[Tensor, "v d"]:
        x = drop(x, self.dropout, False)
        source, target = edge
        found = self.after(self.second(self.between(self.first(x + gathered(x[source], target, len(x))))))
        return found if self.skip is None else found + self.skip(x)


def _skip(inputs: int, outputs: int, residual: bool) -> nn.Module | None:
    """What carries a layer's input around it."""
    if not residual:
        return None
    if inputs == outputs:
        return nn.Identity()
    skip = Linear(inputs, outputs, bias=False)
    nn.init.xavier_normal_(skip.weight, gain=GAIN)
    return skip


class GraphNet(nn.Module):
    """Layers of one kind on graphs in which every node is its own neighbour too.

    channels: features of a node. kind: "gat" weighs neighbours by attention with `heads`, "gin" sums them.
    dropout: of the features before every layer, and of the attention.
    """

    def __init__(
        self,
        channels: int = 1433,
        kind: str = "gat",
        width: int = 512,
        depth: int = 2,
        heads: int = 4,
        norm: str = "none",
        residual: bool = False,
        activation: str = "prelu",
        dropout: tuple[float, ...] = (0.2, 0.1),
    ):
        super().__init__()
        check_choice("kind", kind, KINDS)
        check_choice("norm", norm, NORMS)
        check_choice("activation", activation, ACTIVATIONS)
        if min(channels, width, depth) < 1:
            raise ValueError(f"channels {channels}, width {width} and depth {depth} must be at least 1")
        if len(dropout) != 2 or not all(0 <= rate < 1 for rate in dropout):
            raise ValueError(
                f"dropout {dropout} must be two shares, of features and of attention, at least 0 and below 1"
            )
        self.channels, self.kind, self.width, self.norm, self.activation = channels, kind, width, norm, activation
        self.features_dropped, self.attention_dropped = dropout
        self.layers = nn.ModuleList(
            AttentionLayer(inputs, width, heads, (dropout[0], dropout[1]), residual, norm, activation)
            if kind == "gat"
            else SumLayer(inputs, width, width, dropout[0], residual, norm, activation)
            for inputs in (channels, *[width] * (depth - 1))
        )

    def forward(
        self, graph: Packed, node: Float[Tensor, "v f"], drop: Drop = keep_all, edge: Int64[Tensor, "2 e"] | None = None
    ) -> list[Tensor]:
        """What every layer says of every node. node: instead of the graph's own. edge: idem, without loops."""
        if node.shape[1] != self.channels:
            raise ValueError(f"nodes have {node.shape[1]} features, this network was made for {self.channels}")
        edge = with_loops(graph.edge if edge is None else edge, len(node))
        found = []
        for layer in self.layers:
            node = layer(node, edge, drop)
            found.append(node)
        return found
