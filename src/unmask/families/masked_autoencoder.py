"""Masked autoencoding: hide places, encode the rest, predict what was hidden."""

from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Batch, Context, Features, Mask, Method, key_of, only_known
from unmask.parts.losses.masked import masked_mse
from unmask.parts.nets.reading import read_tokens, real_places
from unmask.parts.nets.transformer import Record


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
        batch = only_known(batch, key_of(self.encoder))
        mask = self.sampler(self, batch, context) if mask is None else mask
        target = self.target(batch)
        return {"reconstruction": masked_mse(self.predict(batch, mask), target.values, mask.hidden, target.real)}

    def predict(self, batch: Batch, mask: Mask, record: Record | None = None) -> Float[Tensor, "b n k"]:
        """What the decoder says of every place; `record` follows the decoder's blocks."""
        key = key_of(self.encoder)
        values = only_known(batch, key)[key]
        tokens = self.encoder(values, mask)
        return self.decoder(tokens, mask, self.encoder.grid_of(values), record, self.places(batch))

    def places(self, batch: Batch) -> Bool[Tensor, "b n"] | None:
        """Which places hold anything real, or None when all do."""
        return real_places(self.encoder, batch)

    def features(self, batch: Batch) -> Features:
        return read_tokens(self.encoder, batch)
