"""JEPA against MAE in deep linear networks: predicting one's own representation learns features without noise first.

New here: nothing is hidden; the encoder is a product of linear layers, so small that how it learns is known exactly. A
linear predictor maps what the encoder says of one vector to what it says of the partner, without gradient there (JEPA),
or to the partner itself (MAE). Both learn the same features; JEPA prefers those with a high regression coefficient,
MAE those with a high covariance.
Paper: E. Littwin et al., "How JEPA Avoids Noisy Features: The Implicit Bias of Deep Linear Self Distillation Networks",
NeurIPS 2024, https://arxiv.org/abs/2407.03475
Reference: none has been released.
Differs: the equations are worked out anew (see `parts.ops.linear_dynamics`); layers turn their features at random
against each other, where the paper's start may be any balanced one.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unmask.core import Batch, Card, Context, Features, Mask, Method, Recipe, check_choice
from unmask.parts.ops.linear_dynamics import TARGETS, final_weight

CARD = Card(
    title="JEPA vs MAE in deep linear nets",
    paper="https://arxiv.org/abs/2407.03475",
    year=2024,
    data="synthetic",
    hides="nothing",
    predicts="the representation of the partner (JEPA), or the partner itself (MAE)",
    family="theory of self-distillation",
    id=101,
    claim="JEPA learns features of high regression coefficient first, the more so the deeper; MAE does not see it",
)


class DeepLinear(nn.Module):
    """A product of square linear layers without biases, balanced from the start.

    features: of the vectors and of every layer. scale: of the weights at the start, the epsilon of the theory.
    """

    def __init__(self, features: int = 2, layers: int = 2, scale: float = 0.1):
        super().__init__()
        if layers < 1 or features < 1:
            raise ValueError(f"{layers} layers of {features} features are no network; give at least 1 of each")
        if not scale > 0:
            raise ValueError(f"scale {scale} leaves the network at 0, where nothing is ever learned; give some more")
        self.scale = scale
        turns = [torch.eye(features), *(turned(features) for _ in range(layers))]
        self.weights = nn.ParameterList(nn.Parameter(scale * after @ before.T) for before, after in pairwise(turns))

    def product(self, layers: int | None = None) -> Float[Tensor, "d d"]:
        """The matrix of the first layers, or of all."""
        whole = torch.eye(self.weights[0].shape[1]).to(self.weights[0])
        for weight in self.weights[:layers]:
            whole = weight @ whole
        return whole

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        return x @ self.product().T


class JepaLinearDynamics(Method):
    """target: "latent" predicts what the encoder says of the partner (JEPA), "data" the partner itself (MAE)."""

    def __init__(self, encoder: DeepLinear, target: str = "latent"):
        super().__init__()
        check_choice("target", target, TARGETS)
        self.encoder, self.target = encoder, target
        turn = encoder.product().detach() / encoder.scale ** len(encoder.weights)
        self.predictor = nn.Parameter(encoder.scale * (torch.eye(len(turn)) if target == "latent" else turn.T))

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        """Half the squared error, summed over features; in full precision, for weights grow by powers of themselves."""
        with torch.autocast(batch["vector"].device.type, enabled=False):
            wanted = batch["partner"]
            if self.target == "latent":
                wanted = self.encoder(wanted).detach()
            prediction = self.encoder(batch["vector"]) @ self.predictor.T
            return {"prediction": 0.5 * (prediction - wanted).square().sum(-1).mean()}

    def expected(
        self, first: Float[Tensor, "d d"], both: Float[Tensor, "d d"], second: Float[Tensor, "d d"]
    ) -> Float[Tensor, ""]:
        """The loss over all samples there could be: half E|A x - T y|^2, from E x x', E x y' and E y y'."""
        product = self.encoder.product()
        chain = self.predictor @ product
        wanted = product.detach() if self.target == "latent" else torch.eye(len(product)).to(product)
        terms = (chain @ first * chain).sum() - 2 * (chain @ both * wanted).sum() + (wanted @ second * wanted).sum()
        return 0.5 * terms

    def features(self, batch: Batch) -> Features:
        """blocks: after every layer."""
        with torch.autocast(batch["vector"].device.type, enabled=False):
            layers = range(1, len(self.encoder.weights) + 1)
            blocks = tuple(batch["vector"] @ self.encoder.product(layer).T for layer in layers)
        return Features(blocks[-1], blocks=blocks)

    @torch.no_grad()
    def strengths(self) -> Float[Tensor, "d"]:
        """How strongly the encoder represents every feature: the length of what it makes of it."""
        return self.encoder.product().norm(dim=0)

    @torch.no_grad()
    def compared(
        self, covariance: Float[Tensor, "d"], coefficient: Float[Tensor, "d"]
    ) -> dict[str, tuple[Float[Tensor, "d"], Float[Tensor, "d"]]]:
        """Predicted and measured: the strengths at the end of learning, and those now."""
        layers = len(self.encoder.weights)
        return {"strength": (final_weight(coefficient, layers, self.target) ** layers, self.strengths().cpu())}

    @torch.no_grad()
    def imbalance(self) -> float:
        """The largest entry of W_a W_a' - W_(a+1)' W_(a+1) over all layers and the predictor; 0 is kept by the flow."""
        chain = [*self.encoder.weights, self.predictor]
        return max(float((a @ a.T - b.T @ b).abs().max()) for a, b in pairwise(chain))


def turned(features: int) -> Float[Tensor, "d d"]:
    """A random rotation, evenly over all of them."""
    basis, triangle = torch.linalg.qr(torch.randn(features, features))
    return basis * triangle.diagonal().sign()


RECIPE = Recipe(
    optimizer="sgd",  # the nearest to gradient flow
    lr=0.02,
    batch=256,
    epochs=200,
    warmup=0,
    weight_decay=0.0,
    betas=(0.0, 0.0),
    crop=None,
    flip=False,
)


def tiny() -> tuple[JepaLinearDynamics, Batch]:
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(8, 4, generator=generator)
    pair = [signal + 0.5 * torch.randn(8, 4, generator=generator) for _ in range(2)]
    return JepaLinearDynamics(DeepLinear(4, 2, scale=1.0)), {"vector": pair[0], "partner": pair[1]}
