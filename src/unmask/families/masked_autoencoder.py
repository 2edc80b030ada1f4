"""Masked autoencoding: hide places, encode the rest, predict what was hidden."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Batch, Context, Features, Mask, Method, only_known
from unmask.parts.losses.masked import masked_mse
from unmask.parts.nets.transformer import Record
from unmask.parts.ops.patches import valid_pixels


class MaskedAutoencoder(Method):
    """An encoder that sees the visible places, a decoder, what to hide and what to predict.

    sampler(model, batch, context) -> Mask; target(batch) -> Target.
    """

    encoder: Any
    decoder: Any

    def __init__(self, encoder: nn.Module, decoder: nn.Module, sampler, target):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.sampler = sampler
        self.target = target

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        batch = only_known(batch)
        mask = self.sampler(self, batch, context) if mask is None else mask
        target = self.target(batch)
        return {"reconstruction": masked_mse(self.predict(batch, mask), target.values, mask.hidden, target.real)}

    def predict(self, batch: Batch, mask: Mask, record: Record | None = None) -> Float[Tensor, "b n k"]:
        """What the decoder says of every place; `record` follows the decoder's blocks."""
        batch = only_known(batch)
        tokens = self.encoder(batch["image"], mask)
        return self.decoder(tokens, mask, self.encoder.grid_of(batch["image"]), record, self.places(batch))

    def places(self, batch: Batch) -> Bool[Tensor, "b n"] | None:
        """Which places hold anything real, or None when all do."""
        if "image_valid" not in batch:
            return None
        pixels = valid_pixels(batch["image"], batch["image_valid"], self.encoder.patch_size)
        return None if pixels is None else pixels.any(-1)

    def features(self, batch: Batch) -> Features:
        batch, record = only_known(batch), Record()
        last = self.encoder(batch["image"], record=record, places=self.places(batch))
        tokens = last[:, self.encoder.prefix :]
        places = self.places(batch)
        blocks = [self._pool(F.layer_norm(x, x.shape[-1:]), places) for x in record.tokens[:-1]]
        pooled = self._pool(last, places)
        return Features(pooled, tokens, self.encoder.grid_of(batch["image"]), (*blocks, pooled))

    def _pool(self, x: Float[Tensor, "b s d"], places: Bool[Tensor, "b n"] | None) -> Float[Tensor, "b d"]:
        """Mean over the places, without class tokens; every block normalised to unit scale first."""
        x = x[:, self.encoder.prefix :].float()
        if places is None:
            return x.mean(1)
        weight = places.unsqueeze(-1).to(x.dtype)
        return (x * weight).sum(1) / weight.sum(1).clamp(min=torch.finfo(x.dtype).tiny)
