"""MAE: hides three quarters of the patches and predicts their pixels with a light decoder.

New here: the family itself. An encoder that only sees the visible patches, a decoder with mask tokens, the mean
squared error on hidden patches whose pixels are normalised per patch.
Paper: K. He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022, https://arxiv.org/abs/2111.06377
Reference: facebookresearch/mae, models_mae.py (CC-BY-NC 4.0)
Differs: pictures of any shape, size and channel count; a patch that is partly padding counts by its real pixels.
"""

import torch

from unmask.core import Batch, Card, Recipe
from unmask.families import MaskedAutoencoder
from unmask.parts.masks.random import RandomMask
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT
from unmask.parts.targets.pixels import Pixels

CARD = Card(
    title="MAE",
    paper="https://arxiv.org/abs/2111.06377",
    year=2022,
    data="image",
    hides="random patches",
    predicts="normalised pixels",
    family="masked autoencoder",
    id=4,
    claim="a representation far above the untrained encoder's, best at a high mask ratio",
    usual="ImageNet, ViT-B: kNN is low after MAE (about 11 to 30), linear about 46 to 68, fine-tuning about 81 to 84",
)


def MAE(
    encoder: ViT, decoder: TokenDecoder | None = None, ratio: float = 0.75, normalise: bool = True
) -> MaskedAutoencoder:
    """ratio: share of the patches that is hidden. normalise: predict pixels normalised per patch."""
    return MaskedAutoencoder(
        encoder, decoder or TokenDecoder(encoder), RandomMask(ratio), Pixels(encoder.patch_size, normalise)
    )


RECIPE = Recipe(optimizer="adamw", lr=1.5e-4, batch=4096, epochs=800, warmup=40, weight_decay=0.05, betas=(0.9, 0.95))


def tiny() -> tuple[MaskedAutoencoder, Batch]:
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return MAE(encoder, TokenDecoder(encoder, width=16, depth=1, heads=2)), {"image": image}
