"""From a picture's cluster to its experts."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from unmask.core import Context, check_choice
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.processes import gathered
from unmask.parts.ops.sinkhorn import sinkhorn

MOMENTUM = 0.99  # of the mean that features are clustered around
GATES = ("value", "one")


class ClusterRoutes(nn.Module):
    """Clusters of pictures, and gates that choose an expert for each cluster in each block that has experts.

    noise: deviation of what is added to the gates' logits in training. gate: experts are weighted by the gate's
    "value", or by "one", through which the gate learns all the same. temperature: of the clusters.
    """

    center: Tensor

    def __init__(
        self,
        encoder: ViT,
        experts: int = 8,
        clusters: int = 256,
        noise: float = 0.1,
        gate: str = "value",
        temperature: float = 0.1,
    ):
        super().__init__()
        check_choice("gate", gate, GATES)
        if experts < 2 or clusters < experts:
            raise ValueError(
                f"{experts} experts cannot share {clusters} clusters; give 2 experts or more, and as many clusters"
            )
        depth = encoder.shape.depth
        self.places = [place for place in range(depth // 2, depth) if (depth - 1 - place) % 2 == 0]
        self.noise = noise
        self.gate = gate
        self.temperature = temperature
        self.experts = experts
        self.prototypes = nn.Parameter(torch.empty(clusters, encoder.width))
        self.gates = nn.ModuleList(Linear(encoder.width, experts, bias=False) for _ in self.places)
        self.register_buffer("center", torch.zeros(encoder.width))
        nn.init.normal_(self.prototypes)
        for weight in self.gates.parameters():
            nn.init.normal_(weight)  # logits as large as 1, so that noise moves few clusters to other experts

    def likeness(self, features: Float[Tensor, "b d"]) -> Float[Tensor, "b k"]:
        """The cosine of every picture, around the mean one, and every cluster."""
        with torch.autocast(features.device.type, enabled=False):  # in half precision, near clusters change places
            return F.normalize(features.float() - self.center, dim=-1) @ F.normalize(self.prototypes, dim=-1).T

    @torch.no_grad()
    def follow(self, features: Float[Tensor, "b d"]) -> None:
        """Moves the mean that clusters lie around towards these features."""
        self.center.lerp_(gathered(features.float()).mean(0), 1 - MOMENTUM)

    def cluster_loss(self, likeness: Float[Tensor, "b k"]) -> Float[Tensor, ""]:
        """Cross-entropy of the clusters with assignments that fill all alike."""
        wanted = sinkhorn(likeness.detach())
        return -(wanted * (likeness / self.temperature).log_softmax(-1)).sum(-1).mean()

    def probabilities(self, context: Context | None = None) -> list[Float[Tensor, "k e"]]:
        """For every block with experts, how the gate divides each cluster. With a context, noise is added."""
        clusters = F.normalize(self.prototypes.detach(), dim=-1)
        logits = [gate(clusters).float() for gate in self.gates]
        if context is not None:
            shape = logits[0].shape
            draws = (torch.randn(shape, generator=context.generator).to(clusters.device) for _ in logits)
            logits = [one + self.noise * draw for one, draw in zip(logits, draws, strict=True)]
        return [one.softmax(-1) for one in logits]

    def forward(
        self, cluster: Int64[Tensor, "b"], probabilities: list[Float[Tensor, "k e"]]
    ) -> dict[int, tuple[Int64[Tensor, "b"], Float[Tensor, "b"]]]:
        """By block, the expert of every picture and its weight."""
        routes = {}
        for place, one in zip(self.places, probabilities, strict=True):
            value, expert = one[cluster].max(-1)
            routes[place] = (expert, value if self.gate == "value" else value / value.detach())
        return routes


def unequal_shares(shares: list[Float[Tensor, "b e"]]) -> Float[Tensor, ""]:
    """The squared coefficient of variation of what the gates give each expert, averaged over blocks."""
    totals = torch.stack([one.sum(0) for one in shares])
    return (totals.var(-1, unbiased=False) / totals.mean(-1).square()).mean()
