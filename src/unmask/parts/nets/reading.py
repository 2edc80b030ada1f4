"""What an encoder says of whole pictures: a vector each, one per place, and one after every block or stage."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Features, key_of, only_known
from unmask.parts.nets.masked_conv import active_mean
from unmask.parts.nets.transformer import Record
from unmask.parts.ops.patches import valid_pixels


def real_places(encoder: Any, batch: Batch) -> Bool[Tensor, "b n"] | None:
    """Which of the encoder's places hold anything real, or None when all do."""
    key = key_of(encoder)
    if f"{key}_valid" not in batch:
        return None
    pixels = valid_pixels(batch[key], batch[f"{key}_valid"], encoder.patch_size)
    return None if pixels is None else pixels.any(-1)


def read_tokens(encoder: Any, batch: Batch) -> Features:
    """Of a transformer. blocks: the mean over places after every block, normalised to unit scale but for the last."""
    key, record = key_of(encoder), Record()
    values, places = only_known(batch, key)[key], real_places(encoder, batch)
    last = encoder(values, record=record, places=places)
    tokens = last[:, encoder.prefix :]
    blocks = [pooled_tokens(encoder, F.layer_norm(x, x.shape[-1:]), places) for x in record.tokens[:-1]]
    pooled = pooled_tokens(encoder, last, places)
    return Features(pooled, tokens, encoder.grid_of(values), (*blocks, pooled))


def pooled_tokens(
    encoder: Any, x: Float[Tensor, "b s d"], places: Bool[Tensor, "b n"] | None = None
) -> Float[Tensor, "b d"]:
    """The mean over the places that hold anything real, without class tokens."""
    x = x[:, encoder.prefix :].float()
    if places is None:
        return x.mean(1)
    weight = places.unsqueeze(-1).to(x.dtype)
    return (x * weight).sum(1) / weight.sum(1).clamp(min=torch.finfo(x.dtype).tiny)


def read_stages(encoder: Any, batch: Batch) -> Features:
    """Of a convolutional network. tokens: the last stage at every cell. blocks: the mean of every stage.

    Where positions of the last stage are larger than cells, the tokens are these positions.
    """
    key = key_of(encoder)
    values = only_known(batch, key)[key]
    real = encoder.active(values, None, batch.get(f"{key}_valid"))
    stages = [stage.float() for stage in encoder(values, real)]
    blocks = tuple(active_mean(stage, real).flatten(1) for stage in stages)
    positions = max(encoder.patch_size // encoder.strides[-1], 1)
    cells = active_mean(stages[-1], real, (positions,) * (values.ndim - 2))
    return Features(blocks[-1], cells.flatten(2).transpose(1, 2), tuple(cells.shape[2:]), blocks)
