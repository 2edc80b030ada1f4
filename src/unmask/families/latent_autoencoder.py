"""Autoencoding through a code: pictures to codes, codes to pictures, and new pictures from the prior's codes."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unmask.core import Batch, Context, Features, Mask, Method, only_known
from unmask.parts.nets.pixel_range import PixelRange


class LatentAutoencoder(Method):
    """An encoder to a code and a decoder back to pixels between 0 and 1; nothing is masked.

    A derived method writes `terms` (its losses), `levels` (what the encoder says, the expected code last),
    `decode` and `draw` (codes of the prior from a generator).
    """

    encoder: Any
    decoder: Any

    def __init__(self, encoder: nn.Module, decoder: nn.Module, pixels: PixelRange | None = None):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.pixels = pixels or PixelRange()

    def terms(self, batch: Batch, context: Context) -> dict[str, Float[Tensor, ""]]:
        raise NotImplementedError(f"{type(self).__name__} must define terms(batch, context)")

    def levels(self, batch: Batch) -> tuple[Float[Tensor, "b _"], ...]:
        raise NotImplementedError(f"{type(self).__name__} must define levels(batch)")

    def decode(self, codes: Float[Tensor, "b d"]) -> Float[Tensor, "b c h w"]:
        raise NotImplementedError(f"{type(self).__name__} must define decode(codes)")

    def draw(self, count: int, generator: torch.Generator | None) -> Float[Tensor, "n d"]:
        raise NotImplementedError(f"{type(self).__name__} must define draw(count, generator)")

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        if mask is not None:
            raise ValueError(f"{type(self).__name__} hides nothing and takes no mask")
        return self.terms(only_known(batch), context)

    def codes(self, batch: Batch) -> Float[Tensor, "b d"]:
        """The expected code of every picture."""
        return self.levels(only_known(batch))[-1]

    def reconstruct(self, batch: Batch) -> Float[Tensor, "b c h w"]:
        """What is left of the pictures in their codes, standardised."""
        return self.pixels.standardised(self.decode(self.codes(batch)))

    def sample(self, count: int, generator: torch.Generator | None = None) -> Float[Tensor, "n c h w"]:
        """New pictures, standardised."""
        codes = self.draw(count, generator)
        return self.pixels.standardised(self.decode(codes.to(next(self.parameters()).device)))

    def features(self, batch: Batch) -> Features:
        blocks = self.levels(only_known(batch))
        return Features(blocks[-1], blocks=blocks)
