"""ColorMAE: hides where coloured noise is weak, so that holes have one typical size; nothing else differs from MAE.

New here: the mask. White noise is filtered to its low (red), middle (green), high (blue) or outer (purple) frequencies
and windows of it are thresholded. It costs nothing and does not look at the picture. Encoder, decoder, target and
loss are MAE's.
Paper: C. Hinojosa et al., "ColorMAE: Exploring data-independent masking strategies in Masked AutoEncoders", ECCV 2024,
https://arxiv.org/abs/2407.13036
Reference: carlosh93/ColorMAE, models/utils/masking_generator.py (Apache-2.0)
Differs: the released patterns are downloads whose blurs are not stated; ours are made from a fixed seed with
`fine` and `coarse`, which are our choice, in Fourier space. Pattern, window and flips are drawn for every picture; the
released code gives the b-th picture of a batch the b-th pattern and draws one window and one pair of flips for all.
Grids need not be square. The released code divides a window by its maximum, which reverses it where that is negative.
"""

import torch

from unmask.core import Batch, Card, Recipe
from unmask.families import MaskedAutoencoder
from unmask.parts.masks.colour import ColourMask
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT
from unmask.parts.targets.pixels import Pixels

CARD = Card(
    title="ColorMAE",
    paper="https://arxiv.org/abs/2407.13036",
    year=2024,
    data="image",
    hides="the weakest places of filtered noise",
    predicts="normalised pixels",
    family="masked autoencoder",
    id=5,
    claim="masks from band-pass (green) noise teach more than white ones, at no cost",
    usual="ImageNet, ViT-B, green, fine-tuned: 83.0 after 300 epochs, 83.8 after 1600; frozen features as MAE's",
)


def ColorMAE(
    encoder: ViT, decoder: TokenDecoder | None = None, mask: ColourMask | None = None, normalise: bool = True
) -> MaskedAutoencoder:
    """mask: which frequencies the noise has. normalise: predict pixels normalised per patch."""
    return MaskedAutoencoder(
        encoder, decoder or TokenDecoder(encoder), mask or ColourMask(), Pixels(encoder.patch_size, normalise)
    )


RECIPE = Recipe(optimizer="adamw", lr=1.5e-4, batch=4096, epochs=300, warmup=40, weight_decay=0.05, betas=(0.9, 0.95))


def tiny() -> tuple[MaskedAutoencoder, Batch]:
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    decoder = TokenDecoder(encoder, width=16, depth=1, heads=2)
    return ColorMAE(encoder, decoder, ColourMask(patterns=16, side=16)), {"image": image}
