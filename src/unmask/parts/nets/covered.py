"""Encoding with hidden places replaced instead of dropped."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Mask
from unmask.parts.nets.token_decoder import with_prefix
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.patches import patchify


def encode_covered(
    encoder: ViT,
    image: Float[Tensor, "b c h w"],
    mask: Mask,
    fill: Float[Tensor, "d"],
    places: Bool[Tensor, "b n"] | None = None,
) -> Float[Tensor, "b s d"]:
    """Class token, if any, then every place; hidden ones enter as `fill` with their position.

    Source: Bao et al. 2022 (BEiT); the embedding is replaced before positions are added.
    """
    embedded = mask.cover(encoder.embed(patchify(image, encoder.patch_size)), fill)
    x = embedded + encoder.positions(encoder.grid_of(image))
    if encoder.class_token is not None:
        x = torch.cat([encoder.class_token.expand(x.shape[0], -1, -1).to(x.dtype), x], dim=1)
    return encoder.trunk(x, with_prefix(places, encoder.prefix))
