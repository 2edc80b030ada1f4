"""MoCE: pictures of one cluster share experts, each of which can leave as an ordinary network for tasks like them.

New here: after a first part as plain MAE, pictures are clustered by what the encoder says of them, into clusters of
equal size; some feed-forward networks become several experts, and a gate that sees the picture's cluster, not its
tokens, chooses one. So an expert learns of the clusters that go to it; the path of one cluster is an ordinary ViT.
Paper: Z. Liu et al., "Task-customized Masked AutoEncoder via Mixture of Cluster-conditional Experts", ICLR 2023,
https://arxiv.org/abs/2402.05382
Reference: none released.
Differs: one training goes through the three stages, by its progress, where the paper goes on from a finished MAE; the
clusters go on following a frozen copy of the dense encoder. Blocks with experts, weights of the terms and noise of the
gates are ours. Exports, fine-tuning and analyses that take `encoder` alone see expert 0 everywhere, without the gates'
weights; `standalone` gives the network of any other cluster.
"""

import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from unmask.core import Batch, Card, Context, Features, Mask, Recipe, only_known
from unmask.families import MaskedAutoencoder
from unmask.parts.losses.masked import masked_mse
from unmask.parts.masks.random import RandomMask
from unmask.parts.nets.cluster_routes import ClusterRoutes, unequal_shares
from unmask.parts.nets.experts import Experts, transform_by_experts
from unmask.parts.nets.reading import pooled_tokens
from unmask.parts.nets.teacher import Teacher
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.transformer import Record
from unmask.parts.nets.vit import ViT
from unmask.parts.targets.pixels import Pixels

CARD = Card(
    title="MoCE",
    paper="https://arxiv.org/abs/2402.05382",
    year=2023,
    data="image",
    hides="random patches",
    predicts="normalised pixels, by experts of the picture's cluster",
    family="masked autoencoder",
    id=69,
    claim="an expert trained on clusters like a task's pictures serves it better than one network trained on all",
    usual="as MAE on average pictures; the gain is on tasks that are unlike most of the training pictures",
)
DENSE, CLUSTERING, EXPERTS = range(3)  # the stages of a training


class Stages:
    """From which share of the training on pictures are clustered, and from which on there are experts."""

    def __init__(self, clusters: float = 0.5, experts: float = 0.6):
        if not 0 <= clusters <= experts <= 1:
            raise ValueError(f"clusters from {clusters} and experts from {experts} on; give shares in that order")
        self.clusters = clusters
        self.experts = experts

    def at(self, progress: float) -> int:
        return DENSE + (progress >= self.clusters) + (progress >= self.experts)


class MoCE(MaskedAutoencoder):
    """ratio: share of the patches that is hidden. balance: weight of the experts' unequal shares, squared.

    distil: weight of what separates the tokens from the frozen dense encoder's; it falls to 0 in the stage of experts.
    """

    entered: Tensor

    def __init__(
        self,
        encoder: ViT,
        decoder: TokenDecoder | None = None,
        routes: ClusterRoutes | None = None,
        stages: Stages | None = None,
        ratio: float = 0.75,
        balance: float = 0.01,
        distil: float = 0.01,
    ):
        super().__init__(encoder, decoder or TokenDecoder(encoder), RandomMask(ratio), Pixels(encoder.patch_size))
        self.routes = routes or ClusterRoutes(encoder)
        self.stages = stages or Stages()
        self.balance = balance
        self.distil = distil
        blocks, count = encoder.trunk.blocks, self.routes.experts
        self.experts = nn.ModuleDict({str(i): Experts(blocks[i], count) for i in self.routes.places})  # type: ignore
        self.dense = Teacher(encoder)
        self.register_buffer("entered", torch.tensor(DENSE))

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        batch = only_known(batch)
        mask = self.sampler(self, batch, context) if mask is None else mask
        if self.training:
            self._enter(self.stages.at(context.progress))
        target, terms = self.target(batch), {}
        likeness = None if self.entered == DENSE else self._likeness(batch)
        if likeness is not None:
            terms["clusters"] = self.routes.cluster_loss(likeness)
        if likeness is None or self.entered < EXPERTS:
            tokens = self.encoder(batch["image"], mask) + 0 * sum(
                p.sum() for p in self._idle()
            )  # used by all processes
        else:
            probabilities = self.routes.probabilities(context if self.training else None)
            cluster = likeness.argmax(-1)
            tokens = self.encode(batch, mask, self.routes(cluster, probabilities))
            terms["balance"] = self.balance * unequal_shares([one[cluster] for one in probabilities])
            gap = F.mse_loss(tokens.float(), self.dense(batch["image"], mask).float())
            terms["distilled"] = self.distil * (1 - context.progress) * gap
        prediction = self.decoder(tokens, mask, self.encoder.grid_of(batch["image"]), None, self.places(batch))
        return {"reconstruction": masked_mse(prediction, target.values, mask.hidden, target.real), **terms}

    def encode(
        self, batch: Batch, mask: Mask | None, routes: dict, record: Record | None = None
    ) -> Float[Tensor, "b s d"]:
        """The encoder's tokens along the routes."""
        places = self.places(batch)
        x = self.encoder(batch["image"], mask, layers=0, places=places)
        valid = places if mask is None else mask.valid
        if valid is not None and self.encoder.prefix:
            valid = torch.cat([torch.ones_like(valid[:, :1]), valid], dim=1)
        experts = {int(place): one for place, one in self.experts.items()}
        return transform_by_experts(self.encoder.trunk, x, experts, routes, valid, record)  # type: ignore

    @torch.no_grad()
    def clusters_of(self, batch: Batch) -> Int64[Tensor, "b"]:
        """The cluster of every picture, which alone decides which experts it meets."""
        return self._likeness(only_known(batch)).argmax(-1)

    def predict(self, batch: Batch, mask: Mask, record: Record | None = None) -> Float[Tensor, "b n k"]:
        """What the decoder says of every place; `record` follows the decoder's blocks."""
        if self.entered < EXPERTS:
            return super().predict(batch, mask, record)
        batch = only_known(batch)
        tokens = self.encode(batch, mask, self._settled_routes(batch))
        return self.decoder(tokens, mask, self.encoder.grid_of(batch["image"]), record, self.places(batch))

    def features(self, batch: Batch) -> Features:
        if self.entered < EXPERTS:
            return super().features(batch)
        batch, record = only_known(batch), Record()
        last, places = self.encode(batch, None, self._settled_routes(batch), record), self.places(batch)
        layers = [*(F.layer_norm(x, x.shape[-1:]) for x in record.tokens[:-1]), last]
        blocks = tuple(pooled_tokens(self.encoder, x, places) for x in layers)
        return Features(blocks[-1], last[:, self.encoder.prefix :], self.encoder.grid_of(batch["image"]), blocks)

    @torch.no_grad()
    def standalone(self, cluster: int) -> ViT:
        """The network that pictures of this cluster meet, as an ordinary encoder."""
        encoder = copy.deepcopy(self.encoder)
        routes = self.routes(torch.tensor([cluster], device=self.entered.device), self.routes.probabilities())
        for place, (expert, weight) in routes.items():
            mlp = encoder.trunk.blocks[place].mlp
            if int(expert):
                mlp.load_state_dict(self.experts[str(place)].others[int(expert) - 1].state_dict())  # type: ignore
            for tensor in mlp[-1].parameters():
                tensor *= weight.item()
        return encoder

    def _settled_routes(self, batch: Batch) -> dict:
        return self.routes(self._likeness(batch).argmax(-1), self.routes.probabilities())

    def _likeness(self, batch: Batch) -> Float[Tensor, "b k"]:
        """How like each cluster every picture is to the frozen dense encoder."""
        places = self.places(batch)
        features = pooled_tokens(self.encoder, self.dense(batch["image"], places=places), places)
        if self.training and self.entered == CLUSTERING:
            self.routes.follow(features)
        return self.routes.likeness(features)

    def _idle(self) -> list[nn.Parameter]:
        idle = [*self.experts.parameters(), *self.routes.gates.parameters()]
        return [*idle, self.routes.prototypes] if self.entered == DENSE else idle

    def _enter(self, stage: int) -> None:
        """Freezes the dense encoder when clustering begins, and copies its feed-forward networks when experts do."""
        before = int(self.entered)
        if before < CLUSTERING <= stage:
            self.dense.follow(self.encoder, 0.0)
        if before < EXPERTS <= stage:
            for place, experts in self.experts.items():
                experts.copy_from(self.encoder.trunk.blocks[int(place)])  # type: ignore
        self.entered.clamp_(min=stage)


RECIPE = Recipe(optimizer="adamw", lr=1.5e-4, batch=4096, epochs=800, warmup=40, weight_decay=0.05, betas=(0.9, 0.95))


def tiny() -> tuple[MoCE, Batch]:
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    routes = ClusterRoutes(encoder, experts=2, clusters=4)
    return MoCE(encoder, TokenDecoder(encoder, width=16, depth=1, heads=2), routes, Stages(0.0, 0.0)), {"image": image}
