"""TopK SAE: writes an activation as a sum of a few directions out of many.

New here: the activation function and what keeps latents alive. Only the k largest latents of a vector stay, so that
how many are used is set and not tuned by a penalty. Directions start as the transposed encoder and keep length 1. Of
latents that have not fired for long, those nearest to firing also learn to give back what the others leave over.
Paper: L. Gao et al., "Scaling and evaluating sparse autoencoders", 2024, https://arxiv.org/abs/2406.04093
Reference: openai/sparse_autoencoder, train.py, model.py, loss.py (MIT)
Differs: directions are brought back to length 1 after every step, there between the gradient and the step. All latents
are computed densely, without kernels. `activation="relu"` with a penalty on the sum of the latents, in units of the
vector's length, is the older autoencoder of loss.py, for comparison. Adam's epsilon is torch's.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Batch, Card, Context, Features, Mask, Method, Recipe, check_choice
from unmask.parts.ops.median import geometric_median
from unmask.parts.ops.processes import gathered
from unmask.parts.ops.tangent import tangent

CARD = Card(
    title="TopK SAE",
    paper="https://arxiv.org/abs/2406.04093",
    year=2024,
    data="activations",
    hides="all but the k largest latents",
    predicts="the activation",
    family="sparse autoencoder",
    id=128,
    claim="less error at the same number of latents in use than with a penalty; few latents die",
    usual="GPT-4, 16 million latents: about 7 % dead",
)

ACTIVATIONS = ("topk", "relu")
FIRES = 1e-3  # value above which a latent counts as firing
TINY = 1e-5  # added to the deviation of a vector
PROBES = 256  # random vectors on which the scale of the encoder is set at the start
WIDER = 4  # times k latents in the second sum


class SparseEncoder(nn.Module):
    """Latents of a vector before and after all but a few are dropped.

    width: of the vectors. latents: how many there are. k: how many stay. activation: "topk", or "relu", by which as
    many stay as are above 0.
    """

    def __init__(self, width: int = 768, latents: int = 32768, k: int = 32, activation: str = "topk"):
        super().__init__()
        check_choice("activation", activation, ACTIVATIONS)
        if width < 2 or not 1 <= k <= latents:
            raise ValueError(f"width {width} must be at least 2, and k {k} at least 1 and at most latents {latents}")
        self.width, self.latents, self.k, self.activation = width, latents, k, activation
        self.weight = nn.Parameter(nn.Linear(width, latents, bias=False).weight.detach())
        self.bias = nn.Parameter(torch.zeros(latents))

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b n"]:
        return F.linear(x, self.weight, self.bias)

    def kept(self, before: Float[Tensor, "b n"], k: int | None = None) -> Float[Tensor, "b n"]:
        """The latents that stay; 0 elsewhere."""
        return before.relu() if self.activation == "relu" else largest(before, k or self.k)


class Revival(nn.Module):
    """How dead latents are brought back. weight: of that loss, 0 for none. count: how many of them may try on a vector;
    None: the power of two nearest to half of the width. dead_after: vectors without firing.
    """

    def __init__(self, weight: float = 1 / 32, count: int | None = None, dead_after: int = 10_000_000):
        super().__init__()
        if weight < 0 or dead_after < 1 or (count is not None and count < 1):
            raise ValueError(f"weight {weight} may not be negative, count {count} and dead_after {dead_after} below 1")
        self.weight, self.count, self.dead_after = weight, count, dead_after

    def tries(self, width: int, latents: int) -> int:
        return min(self.count or 2 ** round(torch.tensor(width / 2).log2().item()), latents)


class TopKSAE(Method):
    """normalise: subtract the mean of every vector and divide by its deviation, and undo that on the way out.

    penalty: weight of the sum of the latents, for "relu". wider: weight of the error with four times as many latents,
    so that the sum gets better term by term; the paper's is 1/8.
    """

    idle: Tensor
    fired: Tensor
    scale: Tensor

    def __init__(
        self,
        encoder: SparseEncoder,
        revival: Revival | None = None,
        normalise: bool = True,
        penalty: float = 0.0,
        wider: float = 0.0,
    ):
        super().__init__()
        if min(penalty, wider) < 0:
            raise ValueError(f"penalty {penalty} and wider {wider} are weights and may not be negative")
        self.encoder, self.revival = encoder, revival or Revival()
        self.normalise, self.penalty, self.wider = normalise, penalty, wider
        self.centre = nn.Parameter(torch.zeros(encoder.width))
        self.directions = nn.Parameter(F.normalize(encoder.weight.detach().clone(), dim=-1))
        self.register_buffer("idle", torch.zeros(encoder.latents, dtype=torch.long))  # steps since it fired
        self.register_buffer("fired", torch.zeros(encoder.latents, dtype=torch.bool))  # within this step
        self.register_buffer("scale", torch.ones(()))  # one over the variance about the mean

    @torch.no_grad()
    def begin(self, batches) -> None:
        """Centre, scale of the loss and scale of the encoder from data."""
        x = torch.cat([self._in_units(batch)[0] for batch in batches])
        self.centre.copy_(geometric_median(x))
        self.scale.fill_(1 / (x - x.mean(0)).square().mean())
        probe = F.normalize(torch.randn(PROBES, x.shape[1]), dim=-1)
        back = self.decoded(self.encoder.kept(self.encoder(probe))) - self.centre
        self.encoder.weight.div_(back.norm(dim=-1).mean())

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        if mask is not None:
            raise ValueError("TopKSAE chooses what it drops and takes no mask")
        x, _, _ = self._in_units(batch)
        with torch.autocast(x.device.type, enabled=False):
            before = self.encoder(x - self.centre)
            latents = self.encoder.kept(before)
            back = self.decoded(latents)
            terms = {"reconstruction": self.scale * (back - x).square().mean()}
            if self.wider:
                more = self.encoder.kept(before, min(WIDER * self.encoder.k, self.encoder.latents))
                terms["wider"] = self.wider * self.scale * (self.decoded(more) - x).square().mean()
            if self.penalty:
                terms["penalty"] = self.penalty * (latents.sum(-1) / x.norm(dim=-1)).mean()
            if self.revival.weight:
                dead = self._dead(latents.detach(), context.total or len(x))
                terms["revival"] = self.revival.weight * self._left_over(before, x - back.detach(), dead)
        return terms

    def decoded(self, latents: Float[Tensor, "b n"]) -> Float[Tensor, "b d"]:
        """The sum of directions, about the centre."""
        return latents @ tangent(self.directions) + self.centre

    def latents(self, batch: Batch) -> Float[Tensor, "b n"]:
        """What stays of the latents of every activation."""
        x, _, _ = self._in_units(batch)
        with torch.autocast(x.device.type, enabled=False):
            return self.encoder.kept(self.encoder(x - self.centre))

    def restored(self, batch: Batch) -> Float[Tensor, "b d"]:
        """What is given back of every activation, in its own units."""
        _, mean, deviation = self._in_units(batch)
        return self.decoded(self.latents(batch)) * deviation + mean

    def steer(self, batch: Batch, latent: int, strength: float) -> Float[Tensor, "b d"]:
        """The activations moved along a direction, as if its latent were `strength` more, in their own units."""
        if not 0 <= latent < self.encoder.latents:
            raise ValueError(f"latent {latent} is not one of the {self.encoder.latents} that there are, from 0")
        _, _, deviation = self._in_units(batch)
        return batch["activation"].float() + strength * deviation * self.directions[latent]

    def features(self, batch: Batch) -> Features:
        """pooled: the latents. blocks: the activation as the encoder gets it, and the latents."""
        latents = self.latents(batch)
        return Features(latents, blocks=(self._in_units(batch)[0], latents))

    @torch.no_grad()
    def after_step(self, context: Context) -> None:
        fired = gathered(self.fired.unsqueeze(0)).any(0)
        self.idle.copy_(torch.where(fired, 0, self.idle) + 1)
        self.fired.zero_()
        self.directions.copy_(F.normalize(self.directions, dim=-1))

    def measures(self) -> dict[str, float]:
        """How long latents have not fired."""
        return {"idle_median": float(self.idle.float().median()), "idle_most": float(self.idle.max())}

    def _in_units(self, batch: Batch) -> tuple[Float[Tensor, "b d"], Tensor, Tensor]:
        """The vectors as the encoder gets them, and the mean and deviation of each."""
        x = batch["activation"].float()
        if x.shape[1] != self.encoder.width:
            raise ValueError(f"activations have {x.shape[1]} numbers, this network was made for {self.encoder.width}")
        if not self.normalise:
            return x, x.new_zeros(()), x.new_ones(())
        mean, deviation = x.mean(-1, keepdim=True), x.std(-1, keepdim=True) + TINY
        return (x - mean) / deviation, mean, deviation

    def _dead(self, latents: Float[Tensor, "b n"], step: int) -> Bool[Tensor, "n"]:
        """Latents that have not fired for long, this batch included. step: vectors of a whole step."""
        fired = (latents > FIRES).any(0) | self.fired
        if self.training:
            self.fired.copy_(fired)
        return torch.where(fired, 0, self.idle) + 1 > self.revival.dead_after // step

    def _left_over(
        self, before: Float[Tensor, "b n"], rest: Float[Tensor, "b d"], dead: Bool[Tensor, "n"]
    ) -> Float[Tensor, ""]:
        """How much of what is left over the dead latents nearest to firing do not give back, as a share."""
        tries = self.revival.tries(self.encoder.width, self.encoder.latents)
        found = self.decoded(largest(torch.where(dead, before, 0.0), tries))
        target = rest + self.centre.detach()  # as in the released code, where both sides hold the centre
        power = (target - target.mean(0)).square().mean()
        return (found - target).square().mean() / power if power > 0 else 0 * found.sum()


def largest(x: Float[Tensor, "b n"], k: int) -> Float[Tensor, "b n"]:
    """The k largest numbers of every row where they are above 0, and 0 elsewhere."""
    found = x.topk(k, dim=-1)
    return torch.zeros_like(x).scatter(-1, found.indices, found.values.relu())


RECIPE = Recipe(
    optimizer="adam",
    lr=2e-7,  # 1e-4 at batches of 131072
    batch=131072,
    epochs=1,
    warmup=0,
    weight_decay=0.0,
    betas=(0.9, 0.999),
    crop=None,
    flip=False,
)


def tiny() -> tuple[TopKSAE, Batch]:
    torch.manual_seed(0)
    activation = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))
    method = TopKSAE(SparseEncoder(6, 16, 3), Revival(count=4, dead_after=1), wider=0.125)
    method.begin([{"activation": activation}])
    return method, {"activation": activation}
