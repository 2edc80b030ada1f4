"""WAE: an autoencoder whose codes together, not each by itself, are distributed like the prior.

New here: the penalty. The codes of a batch are compared with draws of the prior, by a maximum mean discrepancy or by
an adversary in the space of codes; a picture may keep a code of its own, even a point. The cost is 0.05 times the
squared error summed over the pixels, in the range -1 to 1.
Paper: I. Tolstikhin et al., "Wasserstein Auto-Encoders", ICLR 2018, https://arxiv.org/abs/1711.01558
Reference: tolstikhin/wae, wae.py, models.py, configs.py (BSD-3)
Differs: the penalty is that of the batch in memory, so it depends on how a step is divided over processes and
accumulation. The released code adds the log-density of every code to the logit of every code of the batch, here only
if `adversary_crossed` asks for it. The adversary's step draws codes of the prior anew; the encoder is pretrained for a
share of the training, without a threshold; the rate falls along a cosine. The reference's other costs (l1, l2), its
implicit encoder and the range 0 to 1 that it uses for digits are left out. The paper's GAN variant was trained at 0.3
times the recipe's rate. `penalty="kl"`, of every single code, makes it a VAE with Gaussian pixels, for comparison.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.core import Batch, Card, Context, Phase, Recipe, check_choice
from unmask.families import LatentAutoencoder
from unmask.parts.latents.adversary import LatentAdversary, being_taken_for, telling_apart
from unmask.parts.latents.discrepancy import inverse_multiquadratic, moment_gap, radial
from unmask.parts.latents.gaussian import standard_divergence
from unmask.parts.latents.prior import Prior
from unmask.parts.nets.dcgan import ConvDecoder, ConvEncoder, pooled
from unmask.parts.nets.pixel_range import PixelRange

CARD = Card(
    title="WAE",
    paper="https://arxiv.org/abs/1711.01558",
    year=2018,
    data="image",
    hides="nothing",
    predicts="pixels from a code",
    family="latent autoencoder",
    id=145,
    claim="better samples than the VAE's at equal or better reconstruction, as only the codes together match the prior",
    usual="CelebA, Frechet inception distance: 63 for the VAE, 55 with the discrepancy, 42 with the adversary",
)

PENALTIES = ("mmd", "mmd_radial", "gan", "kl")
COST = 0.05  # of the squared error
NOISE = 0.01  # deviation of what is added to the pixels in training, cut off at twice that
LIMIT = 50.0  # of log-variances
TINY = 1e-8  # least variance of a code that has a spread
ADVERSARY = "adversary"  # the phase in which only the adversary learns


class Codes(NamedTuple):
    """What the encoder says of a batch: codes as drawn, their means, and log-variances if they have a spread."""

    value: Float[Tensor, "b d"]
    mean: Float[Tensor, "b d"]
    log_variance: Float[Tensor, "b d"] | None


class WAE(LatentAutoencoder):
    """Encoder, decoder, and how the codes are brought to the prior.

    penalty: "mmd" (inverse multiquadratic kernel), "mmd_radial", "gan", or "kl" of every single code. strength: its
    weight. pretraining: share of the training in which the encoder alone learns to match the prior's moments.
    """

    encoder: ConvEncoder
    decoder: ConvDecoder

    def __init__(
        self,
        encoder: ConvEncoder,
        decoder: ConvDecoder | None = None,
        adversary: LatentAdversary | None = None,
        prior: Prior | None = None,
        pixels: PixelRange | None = None,
        penalty: str = "mmd",
        strength: float = 100.0,
        pretraining: float = 0.002,
    ):
        super().__init__(encoder, decoder or ConvDecoder(encoder), pixels)
        self.prior = prior or Prior()
        check_choice("penalty", penalty, PENALTIES)
        if penalty == "kl" and (encoder.log_variance is None or self.prior.kind != "normal" or self.prior.scale != 1):
            raise ValueError("the divergence of every code needs a spread and a standard normal prior; set spread=true")
        self.penalty, self.strength, self.pretraining = penalty, strength, pretraining
        self.adversary = (adversary or LatentAdversary(encoder)) if penalty == "gan" else None
        if self.adversary is not None and self.adversary.known_prior and self.prior.kind != "normal":
            raise ValueError(f"the density of a {self.prior.kind} prior is not known; set adversary_known_prior=false")

    def phases(self) -> list[Phase]:
        mine = tuple(p for part in (self.encoder, self.decoder) for p in part.parameters() if p.requires_grad)
        if self.adversary is None:
            return [Phase("main", mine)]
        return [Phase("main", mine), Phase(ADVERSARY, tuple(self.adversary.parameters()), self.adversary.rate)]

    def terms(self, batch: Batch, context: Context) -> dict[str, Float[Tensor, ""]]:
        image = self._symmetric(batch)
        if self.adversary is not None and context.phase == ADVERSARY:
            with torch.no_grad():
                codes = self.encode(image, context)
            real, false = self._logits(self.drawn(codes, context)), self._logits(codes.value)
            return {"telling_apart": self.strength * telling_apart(real, false)}
        codes = self.encode(image, context)
        drawn = self.drawn(codes, context)
        square = (2 * self.decode(codes.value) - 1 - image).square()
        if "image_valid" in batch:
            square = square * batch["image_valid"].unsqueeze(1)
        error = square.sum((1, 2, 3)).mean()
        if self.training and context.progress < self.pretraining:
            return {"moments": moment_gap(codes.value, drawn), "reconstruction": 0 * error}
        return {"reconstruction": COST * error, "penalty": self.strength * self.match(codes, drawn)}

    def match(self, codes: Codes, drawn: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
        """How far the codes are from being draws of the prior."""
        if self.adversary is not None:
            return being_taken_for(self._logits(codes.value))
        if self.penalty == "kl" and codes.log_variance is not None:
            return standard_divergence(codes.mean, codes.log_variance).mean()
        if self.penalty == "mmd_radial":
            return radial(codes.value, drawn)
        return inverse_multiquadratic(codes.value, drawn, self.prior.distance(self.encoder.latent))

    def encode(self, image: Float[Tensor, "b c h w"], context: Context) -> Codes:
        """The codes of pictures in -1 to 1, with noise: on the code if it has a spread, else on the pixels."""
        if self.encoder.log_variance is None and self.training:
            image = image + NOISE * truncated_normal(context.uniform(*image.shape, device=image.device))
        mean, log_variance = self.encoder(image)
        value = mean
        if log_variance is not None:
            log_variance = log_variance.clamp(-LIMIT, LIMIT)
            value = mean + context.normal(*mean.shape, device=mean.device) * (TINY + log_variance.exp()).sqrt()
        return Codes(self.prior.inside(value), mean, log_variance)

    def drawn(self, codes: Codes, context: Context) -> Float[Tensor, "b d"]:
        """As many draws of the prior as there are codes."""
        return self.prior.draw(context.normal(*codes.value.shape, device=codes.value.device))

    def levels(self, batch: Batch) -> tuple[Float[Tensor, "b _"], ...]:
        maps = self.encoder.maps(self._symmetric(batch))
        return (*pooled(maps), self.prior.inside(self.encoder.code(maps[-1].flatten(1)).float()))

    def decode(self, codes: Float[Tensor, "b d"]) -> Float[Tensor, "b c h w"]:
        return (self.decoder(codes).tanh() + 1) / 2

    def draw(self, count: int, generator: torch.Generator | None) -> Float[Tensor, "n d"]:
        return self.prior.draw(torch.randn(count, self.encoder.latent, generator=generator))

    def _logits(self, codes: Float[Tensor, "b d"]) -> Float[Tensor, "*b"]:
        return self.adversary(codes, self.prior.scale)  # type: ignore[misc]

    def _symmetric(self, batch: Batch) -> Float[Tensor, "b c h w"]:
        """The pictures between -1 and 1."""
        return 2 * self.pixels(batch["image"]) - 1


def truncated_normal(noise: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """Normal numbers cut off at two deviations, from uniform noise."""
    edge = 2 / 2**0.5
    return 2**0.5 * torch.erfinv(math.erf(edge) * (2 * noise - 1))


RECIPE = Recipe(
    optimizer="adam",
    lr=2.56e-3,
    batch=100,
    epochs=55,
    warmup=0,
    weight_decay=0.0,
    betas=(0.5, 0.999),
    crop=None,
    flip=False,
)


def tiny() -> tuple[WAE, Batch]:
    image = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return WAE(ConvEncoder(image_size=16, latent=4, width=16, layers=2, kernel=4)), {"image": image}
