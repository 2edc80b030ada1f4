"""Self-Guided MAE: the model's own patch clusters decide what to hide.

New here: the mask. After a first part of the training with random masks, the encoder embeds the whole image, a
normalised cut of the patch similarities finds the cluster of the main object, and the patches most relevant to it
are hidden, but for a few hints whose share decays. Encoder, decoder, target and loss are MAE's.
Paper: "Self-Guided Masked Autoencoder", NeurIPS 2024, https://arxiv.org/abs/2507.19773
Reference: none released. Normalised cut and its seed rule after YangtaoWANG95/TokenCut, object_discovery.py (MIT).
Differs: what the paper leaves open is an argument: start, layer, cut, cluster, hints, refresh.
"""

import torch

from unmask.core import Batch, Card, Recipe
from unmask.families import MaskedAutoencoder
from unmask.parts.masks.guided import GuidedMask
from unmask.parts.masks.start import Start
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT
from unmask.parts.targets.pixels import Pixels

CARD = Card(
    title="Self-Guided MAE",
    paper="https://arxiv.org/abs/2507.19773",
    year=2024,
    data="image",
    hides="the patches most relevant to the model's own object cluster",
    predicts="normalised pixels",
    family="masked autoencoder",
    id=1,
    claim="patches cluster early in MAE; masking by these clusters learns faster than random masking",
    usual="as MAE or a little higher at equal steps; kNN is low after masked autoencoding, fine-tuning is not",
)


def SelfGuidedMAE(
    encoder: ViT, decoder: TokenDecoder | None = None, mask: GuidedMask | None = None, normalise: bool = True
) -> MaskedAutoencoder:
    """mask: how and when the clusters decide. normalise: predict pixels normalised per patch."""
    return MaskedAutoencoder(
        encoder, decoder or TokenDecoder(encoder), mask or GuidedMask(), Pixels(encoder.patch_size, normalise)
    )


RECIPE = Recipe(optimizer="adamw", lr=1.5e-4, batch=4096, epochs=400, warmup=40, weight_decay=0.05, betas=(0.9, 0.95))


def tiny() -> tuple[MaskedAutoencoder, Batch]:
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    decoder = TokenDecoder(encoder, width=16, depth=1, heads=2)
    return SelfGuidedMAE(encoder, decoder, GuidedMask(start=Start(fraction=0.0))), {"image": image}
