"""IWAE: a variational autoencoder trained on the bound that many weighted samples of the code give.

New here: the bound. log p(x) is bounded by the log of the mean of k importance weights p(x, z) / q(z|x), which tightens
as k grows and frees the posterior from having to be good on average. One or two layers of codes; binary pixels, drawn
anew from the grey values at every presentation.
Paper: Y. Burda et al., "Importance Weighted Autoencoders", ICLR 2016, https://arxiv.org/abs/1509.00519
Reference: yburda/iwae, iwae.py, experiments.py (no licence)
Differs: pictures of any size and channel count; the output biases start at the mean of each channel, not of each pixel;
the loss is averaged over the batch where the released code sums it, and Adam's epsilon is torch's, not 1e-4; the rate
falls along a cosine, not in eight steps. Features and reconstructions take the grey values as they are. Where there are
two layers, `codes` and `reconstruct` go through the expected codes of both.
"""

import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Batch, Card, Context, Recipe, check_choice, only_known
from unmask.families import LatentAutoencoder
from unmask.parts.latents.bernoulli import BernoulliLayer, bernoulli_log_density, binarised
from unmask.parts.latents.bounds import average_bound, importance_bound
from unmask.parts.latents.gaussian import GaussianLayer, standard_log_density
from unmask.parts.nets.pixel_range import PixelRange

CARD = Card(
    title="IWAE",
    paper="https://arxiv.org/abs/1509.00519",
    year=2016,
    data="image",
    hides="nothing; pixels are drawn binary",
    predicts="binary pixels from a code",
    family="latent autoencoder",
    id=117,
    claim="a higher likelihood and more active units than the VAE, the more samples the more",
    usual="binarised MNIST, one layer: -86.8 nats for the VAE, -84.8 with 50 weighted samples; 19 and 25 active units",
)

BOUNDS = {"importance": importance_bound, "average": average_bound}
CHUNK = 100  # samples whose weights are held at a time when the likelihood is measured


class StochasticEncoder(nn.Module):
    """q(z|x): one Gaussian layer for every entry of `latent`, each given a sample of the one below.

    latent: numbers of the codes, the lowest layer first. hidden: widths of the tanh layers of each.
    """

    layers: Any

    def __init__(
        self,
        image_size: int | tuple[int, int] = 28,
        channels: int = 1,
        latent: int | tuple[int, ...] = 50,
        hidden: int | tuple[int, ...] = 200,
    ):
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.shape = (channels, height, width)
        self.latent = (latent,) if isinstance(latent, int) else latent
        self.hidden = (hidden,) * len(self.latent) if isinstance(hidden, int) else hidden
        if len(self.latent) != len(self.hidden) or min(*self.shape, *self.latent, *self.hidden) < 1:
            raise ValueError(
                f"latent {latent} and hidden {hidden} must be positive and equally many, image_size {image_size} and"
                f" channels {channels} positive"
            )
        below = (math.prod(self.shape), *self.latent)
        sizes = zip(below[:-1], self.hidden, self.latent, strict=True)
        self.layers = nn.ModuleList(GaussianLayer(*size) for size in sizes)


class StochasticDecoder(nn.Module):
    """p(x|z): Gaussian layers down to the lowest code, then the logits of the pixels; widths mirror the encoder's."""

    layers: Any

    def __init__(self, encoder: StochasticEncoder, mean: tuple[float, ...] = (0.5,)):
        super().__init__()
        sizes = zip(encoder.latent[1:], encoder.hidden[1:], encoder.latent[:-1], strict=True)
        self.layers = nn.ModuleList(GaussianLayer(*size) for size in sizes)  # the lowest first, as in the encoder
        channels, height, width = encoder.shape
        self.pixels = BernoulliLayer(encoder.latent[0], encoder.hidden[0], channels, height * width, mean)


class IWAE(LatentAutoencoder):
    """samples: how many weights a bound is made of. bound: "importance", or "average" for the VAE."""

    encoder: StochasticEncoder
    decoder: StochasticDecoder

    def __init__(
        self,
        encoder: StochasticEncoder,
        pixels: PixelRange | None = None,
        samples: int = 50,
        bound: str = "importance",
    ):
        check_choice("bound", bound, BOUNDS)
        if samples < 1:
            raise ValueError(f"samples {samples} must be at least 1")
        pixels = pixels or PixelRange()
        super().__init__(encoder, StochasticDecoder(encoder, pixels.mean(encoder.shape[0])), pixels)
        self.samples = samples
        self.bound = bound

    def terms(self, batch: Batch, context: Context) -> dict[str, Float[Tensor, ""]]:
        grey, valid = self._flat(batch)
        value = binarised(context.uniform(*grey.shape, device=grey.device), grey)
        noise = [context.normal(len(grey), self.samples, d, device=grey.device) for d in self.encoder.latent]
        return {"bound": -BOUNDS[self.bound](self.log_weights(value, noise, valid)).mean()}

    def log_weights(
        self,
        value: Float[Tensor, "b p"],
        noise: list[Float[Tensor, "b k _"]],
        valid: Bool[Tensor, "b p"] | None = None,
    ) -> Float[Tensor, "b k"]:
        """log p(x, z) - log q(z|x) of the codes that the noise becomes, layer by layer; every density at the sample."""
        below = value.unsqueeze(1)
        total: Tensor = torch.zeros((), device=value.device)
        for number, (layer, own) in enumerate(zip(self.encoder.layers, noise, strict=True)):
            posterior = layer(below)
            code = posterior.at(own)
            total = total - posterior.log_density(code)
            if number:
                total = total + self.decoder.layers[number - 1](code).log_density(below)
            else:
                total = total + self._likelihood(code, value, valid)
            below = code
        return total + standard_log_density(below)

    def _likelihood(self, code, value: Float[Tensor, "b p"], valid) -> Float[Tensor, "b k"]:
        seen = None if valid is None else valid.unsqueeze(1)
        return bernoulli_log_density(self.decoder.pixels(code), value.unsqueeze(1), seen)

    @torch.no_grad()
    def log_likelihood(
        self, batch: Batch, samples: int = 5000, generator: torch.Generator | None = None
    ) -> Float[Tensor, "b"]:
        """The importance-weighted bound on log p(x) in nats, whatever the method was trained on; x drawn binary."""
        grey, valid = self._flat(only_known(batch))
        value = binarised(torch.rand(grey.shape, generator=generator).to(grey.device), grey)
        total = grey.new_full((len(grey),), -torch.inf)
        for first in range(0, samples, CHUNK):
            size = (len(grey), min(CHUNK, samples - first))
            noise = [torch.randn(*size, d, generator=generator).to(grey.device) for d in self.encoder.latent]
            total = torch.logaddexp(total, self.log_weights(value, noise, valid).logsumexp(-1))
        return total - math.log(samples)

    @torch.no_grad()
    def posterior_means(self, batch: Batch, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """The expected code of every layer, given a sample of the layer below; what active units are counted in."""
        grey, _ = self._flat(only_known(batch))
        below = binarised(torch.rand(grey.shape, generator=generator).to(grey.device), grey)
        means = []
        for layer in self.encoder.layers:
            posterior = layer(below)
            means.append(posterior.mean)
            below = posterior.at(torch.randn(posterior.mean.shape, generator=generator).to(grey.device))
        return tuple(means)

    def levels(self, batch: Batch) -> tuple[Float[Tensor, "b _"], ...]:
        below, found = self._flat(batch)[0], []
        for layer in self.encoder.layers:
            hidden = layer.trunk(below)
            below = layer.of(hidden).mean
            found += [hidden.float(), below]
        return tuple(found)

    def decode(self, codes: Float[Tensor, "b d"]) -> Float[Tensor, "b c h w"]:
        for layer in reversed(self.decoder.layers):
            codes = layer(codes).mean
        return self.decoder.pixels(codes).sigmoid().unflatten(-1, self.encoder.shape)

    def draw(self, count: int, generator: torch.Generator | None) -> Float[Tensor, "n d"]:
        return torch.randn(count, self.encoder.latent[-1], generator=generator)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Float[Tensor, "n c h w"]:
        """New pictures, standardised: every layer of codes is drawn, pixels are their expectation."""
        code = self.draw(count, generator).to(self.decoder.pixels.logits.weight.device)
        for layer in reversed(self.decoder.layers):
            code = layer(code).at(torch.randn(count, layer.outputs, generator=generator).to(code.device))
        return self.pixels.standardised(self.decoder.pixels(code).sigmoid().unflatten(-1, self.encoder.shape))

    def _flat(self, batch: Batch) -> tuple[Float[Tensor, "b p"], Bool[Tensor, "b p"] | None]:
        """Grey values between 0 and 1, and which of them are real."""
        image = batch["image"]
        if tuple(image.shape[1:]) != self.encoder.shape:
            raise ValueError(f"image has the shape {tuple(image.shape[1:])}, this encoder takes {self.encoder.shape}")
        valid = batch.get("image_valid")
        real = None if valid is None else valid.unsqueeze(1).expand_as(image).flatten(1)
        return self.pixels(image).flatten(1), real


RECIPE = Recipe(
    optimizer="adam",
    lr=1.28e-2,
    batch=20,
    epochs=3280,
    warmup=0,
    weight_decay=0.0,
    betas=(0.9, 0.999),
    crop=None,
    flip=False,
)


def tiny() -> tuple[IWAE, Batch]:
    image = torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    encoder = StochasticEncoder(image_size=6, channels=1, latent=(8, 4), hidden=(16, 8))
    return IWAE(encoder, samples=5), {"image": image}
