"""MD4: hides values of discrete data at random until none is left, and learns to give them back.

New here: the bound. Hiding every value by itself, with a share that falls in time, makes the likelihood's bound an
integral over time of the cross-entropy at hidden places, weighed by how fast values disappear. GenMD4, which is
`schedule=learned`, learns for every value how long it stays.
Paper: J. Shi et al., "Simplified and Generalized Masked Diffusion for Discrete Data", NeurIPS 2024,
https://arxiv.org/abs/2406.04329
Reference: google-deepmind/md4, models/diffusion/{md4,genmd4}.py, models/backward.py, networks/{transformer,unet}.py
(Apache-2.0). As there, GenMD4's times lie in [0.001, 1] and the integral is their mean, a thousandth too much.
Differs: passages may be shorter than the network's length; bits are per value of the whole batch. A network that is not
told the time is told time 0; the released one has other norms then. A U-Net takes width and depth of `model`. GenMD4's
samples, which the released code does not draw, follow the paper. There are no classes as conditions. Weights are
averaged only when asked for: the reference's `--ema 0.9999` is for its million steps and spoils shorter runs.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from unmask.core import Batch, Card, Context, Features, Mask, Method, Recipe, check_choice
from unmask.parts.generate.ancestral import Ancestral, antithetic_times
from unmask.parts.generate.schedules import KeptShare, LearnedShares
from unmask.parts.nets.denoiser import Denoiser
from unmask.parts.nets.levels import Levels
from unmask.parts.nets.transformer import Record
from unmask.parts.ops.shown import Shown

CARD = Card(
    title="MD4",
    paper="https://arxiv.org/abs/2406.04329",
    year=2024,
    data="text",
    also=("image",),
    hides="values at random, a share that grows in time",
    predicts="hidden values",
    family="masked diffusion",
    id=141,
    claim="better likelihoods than earlier discrete diffusion, of text and of pixels; the learned schedule's are best",
    usual="text8: 1.37 bits per character, GenMD4 1.34 (recalled); CIFAR-10: 2.78 bits per dimension",
)

LEARNED = "learned"
WEIGHTS = ("bound", "none")
SHOWN = (0.3, 0.6, 0.9)  # times at which data is shown


class MD4(Method):
    """schedule: "linear", "cosine" or "polyN", the share that is kept in time, or "learned" for every value (GenMD4).

    timesteps: None for continuous time, or a number of steps. weight: "bound", or "none" for plain cross-entropy, which
    bounds nothing. antithetic: times are spread evenly over a batch.
    """

    LIKELIHOOD_SAMPLES = 32  # times a sample is looked at where the likelihood is measured

    def __init__(
        self,
        encoder: Denoiser,
        levels: Levels | None = None,
        sampling: Ancestral | None = None,
        schedule: str = "linear",
        timesteps: int | None = None,
        weight: str = "bound",
        antithetic: bool = True,
    ):
        super().__init__()
        check_choice("weight", weight, WEIGHTS)
        if timesteps is not None and timesteps < 1:
            raise ValueError(f"timesteps {timesteps} must be positive; leave it out for continuous time")
        if schedule == LEARNED and (timesteps is not None or weight != "bound"):
            raise ValueError("a learned schedule needs continuous time and the bound; leave timesteps and weight out")
        self.encoder, self.levels, self.sampling = encoder, levels or Levels(), sampling or Ancestral()
        self.shares = LearnedShares(encoder.vocabulary) if schedule == LEARNED else KeptShare(schedule)
        self.schedule, self.timesteps, self.weight, self.antithetic = schedule, timesteps, weight, antithetic

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        """Bits per value."""
        if mask is not None:
            raise ValueError("MD4 hides what its time says and takes no mask")
        x, valid = self.values(batch), self.real(batch)
        draws = [self._noise(x, context) for _ in range(2 if self.schedule == LEARNED else 1)]
        return {
            name: nats.sum() / (valid.sum() * math.log(2))
            for name, nats in self.bound(x, valid, self._times(x, context), draws).items()
        }

    def bound(
        self, x: Int64[Tensor, "b *n"], valid: Bool[Tensor, "b *n"], t: Float[Tensor, "b"], draws: list[Tensor]
    ) -> dict[str, Float[Tensor, "b"]]:
        """The terms of minus the bound of log p(x) in nats, at these times. draws: noise in [0, 1) that hides."""
        if isinstance(self.shares, LearnedShares):
            t = self.shares.FIRST + (1 - self.shares.FIRST) * t
            found = self._learned(self.shares, x, valid, t, draws)
        else:
            found = self._weighed(self.shares, x, valid, t, draws[0])
        left = (self.shares.left(x, self.encoder.vocabulary) * valid).flatten(1).sum(1)
        return found if self.weight == "none" else {**found, "reconstruction": left}

    def _weighed(self, shares: KeptShare, x, valid, t, noise) -> dict[str, Float[Tensor, "b"]]:
        """The cross-entropy at hidden places, weighed by the rate at which values disappear."""
        if self.timesteps is not None:
            t = ((t * self.timesteps).floor() + 1) / self.timesteps
        z, hidden = self._covered(x, valid, shares.kept(x, t), noise)
        logits = self._logits(z, t, valid).movedim(-1, 1)
        error = (F.cross_entropy(logits, x, reduction="none") * hidden).flatten(1).sum(1)
        if self.weight == "none":
            return {"diffusion": error}
        return {
            "diffusion": error * (shares.rate(t) if self.timesteps is None else shares.step_rate(t, self.timesteps))
        }

    def _learned(self, shares: LearnedShares, x, valid, t, draws) -> dict[str, Float[Tensor, "b"]]:
        """From two draws. "schedule" is 0 and carries the gradient by way of what is hidden (REINFORCE)."""
        errors, chances = [], []
        for noise in draws:
            z, hidden = self._covered(x, valid, shares.kept(x, t), noise)
            error = shares.error(x, t, self._logits(z, t, valid).log_softmax(-1))
            errors.append((error * hidden).flatten(1).sum(1))
            chances.append((shares.chance(x, t, hidden) * valid).flatten(1).sum(1))
        surrogate = 0.5 * (errors[0] - errors[1]).detach() * (chances[0] - chances[1])
        return {"diffusion": 0.5 * (errors[0] + errors[1]), "schedule": surrogate - surrogate.detach()}

    @torch.no_grad()
    def log_likelihood(
        self, batch: Batch, samples: int = LIKELIHOOD_SAMPLES, generator: torch.Generator | None = None
    ) -> Float[Tensor, "b"]:
        """A lower bound in nats, from that many times, spread evenly."""
        x, valid = self.values(batch), self.real(batch)
        start = torch.rand(len(x), generator=generator).to(x.device)
        total = torch.zeros(len(x), device=x.device)
        for number in range(samples):
            t = (start + number / samples) % 1
            draws = [torch.rand(x.shape, generator=generator).to(x.device) for _ in range(2)]
            terms = self.bound(x, valid, t, draws)
            total -= sum(terms.values(), torch.zeros_like(total)) / samples
        return total

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """New passages as tokens [n t], or new pictures, standardised [n c h w]."""
        device = self.encoder.embed.weight.device
        z = torch.full((count, *self.encoder.shape), self.encoder.vocabulary, device=device)
        x = self.sampling(z, self._logits_at, self.shares.between, generator)
        return self.levels.standardised(x) if self.encoder.picture else x

    def features(self, batch: Batch) -> Features:
        """Of data with nothing hidden. pooled, blocks: the mean over places after every block."""
        x, valid, record = self.values(batch), self.real(batch), Record()
        self.encoder(x, torch.zeros(len(x), device=x.device), valid if valid.ndim == 2 else None, record)
        weights = valid.unsqueeze(-1) if valid.ndim == 2 else valid[:, 0].flatten(1).unsqueeze(-1)
        blocks = tuple((b.float() * weights).sum(1) / weights.sum(1).clamp(min=1) for b in record.tokens)
        places = self.encoder.picture[1:] if self.encoder.picture else x.shape[1:]
        return Features(blocks[-1], record.tokens[-1], tuple(places), blocks)

    def values(self, batch: Batch) -> Int64[Tensor, "b *n"]:
        """The data as whole numbers."""
        return self.levels.values(batch["image"], self.encoder.vocabulary) if "image" in batch else batch["ids"]

    def real(self, batch: Batch) -> Bool[Tensor, "b *n"]:
        """Where there is data."""
        if "image" not in batch:
            return batch["ids_valid"]
        valid = batch.get("image_valid", torch.ones_like(batch["image"][:, 0], dtype=torch.bool))
        return valid.unsqueeze(1).expand_as(batch["image"])

    @torch.no_grad()
    def views(self, batch: Batch, context: Context) -> list[Shown]:
        """What is hidden of passages at some times, and the most likely values there."""
        return [Shown(f"time {t}", *self._guessed(batch, t, context)) for t in SHOWN]

    @torch.no_grad()
    def pictures(self, batch: Batch, context: Context) -> dict[str, Float[Tensor, "b c h w"]]:
        """What is hidden of pictures at some times, drawn as the mean, and the most likely values there."""
        shown = {}
        for t in SHOWN:
            x, _, hidden, guess = self._guessed(batch, t, context)
            shown[f"time {t}"] = self.levels.standardised(x).masked_fill(hidden, 0.0)
            shown[f"predicted at {t}"] = self.levels.standardised(torch.where(hidden, guess, x))
        return shown

    def _guessed(self, batch: Batch, time: float, context: Context) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The data, what is left of it at this time, where it is hidden, and the most likely values."""
        x, valid = self.values(batch), self.real(batch)
        t = torch.full((len(x),), time, device=x.device)
        z, hidden = self._covered(x, valid, self.shares.kept(x, t), self._noise(x, context))
        return x, z, hidden, self._logits(z, t, valid).argmax(-1)

    def _covered(self, x: Tensor, valid: Tensor, kept: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The data with its hidden values replaced, and where they are."""
        hidden = (noise >= kept) & valid
        return torch.where(hidden, self.encoder.vocabulary, x), hidden

    def _times(self, x: Tensor, context: Context) -> Float[Tensor, "b"]:
        if not self.antithetic:
            return context.uniform(len(x), device=x.device)
        start = torch.rand((), generator=context.generator)  # the same for all parts of the batch
        return antithetic_times(start, context.first, len(x), context.total or len(x)).to(x.device)

    def _noise(self, x: Tensor, context: Context) -> Float[Tensor, "b *n"]:
        """Passages may be shorter than the longest; their noise is not another for it."""
        noise = context.uniform(len(x), *self.encoder.shape, device=x.device)
        return noise if self.encoder.picture else noise[:, : x.shape[1]]

    def _logits(self, z: Tensor, t: Tensor, valid: Tensor | None = None) -> Float[Tensor, "b *n v"]:
        """valid: left out in pictures, and where all is real."""
        padded = valid is not None and valid.ndim == 2 and not bool(valid.all())
        return self.encoder(z, t, valid if padded else None).float()

    def _logits_at(self, z: Tensor, t: float) -> Float[Tensor, "b *n v"]:
        return self._logits(z, torch.full((len(z),), t, device=z.device))


RECIPE = Recipe(
    optimizer="adamw",
    lr=1.5e-4,  # the reference's 3e-4 at batches of 512
    batch=512,
    epochs=1456,
    warmup=3,
    weight_decay=0.0,
    betas=(0.9, 0.999),
    crop=None,
    flip=False,
)


def tiny() -> tuple[MD4, Batch]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(9, (4, 8), generator=generator)
    batch = {"ids": ids, "ids_valid": torch.arange(8) < torch.tensor([[8], [8], [5], [8]])}
    method = MD4(Denoiser("16x2x2", 9, 8, features=8))
    for parameter in method.parameters():  # those that begin at zero let nothing through
        torch.nn.init.normal_(parameter, std=0.2, generator=generator)
    return method, batch
