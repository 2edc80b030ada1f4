"""Bamboo: under masked autoencoding, a deeper and narrower transformer does more with as many parameters.

New here: the shape. Trained by classifying, the tokens of a deep transformer become alike, and depth stops paying;
trained by masked autoencoding they do not. So the network is given several times the blocks, and the width that keeps
the number of parameters. All else is MAE's. What shows the reason is `parts/ops/smoothing.py`.
Paper: F. Xue et al., "A Study on Transformer Configuration and Training Objective", ICML 2023,
https://arxiv.org/abs/2205.10505
Reference: none released.
Differs: pictures only, not text. The decoder's shape is MAE's.
"""

import torch

from unmask.core import Batch, Card, Recipe
from unmask.families import MaskedAutoencoder
from unmask.parts.masks.random import RandomMask
from unmask.parts.nets.shapes import deeper_shape
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT, transformer_shape
from unmask.parts.targets.pixels import Pixels

CARD = Card(
    title="Bamboo",
    paper="https://arxiv.org/abs/2205.10505",
    year=2023,
    data="image",
    hides="random patches",
    predicts="normalised pixels",
    family="masked autoencoder",
    id=31,
    claim="at equal parameters, masked autoencoding gains from a deeper and narrower network; classifying does not",
    usual="ImageNet, fine-tuned: base 84.2, large 86.3, huge 87.1; as MAE or a little higher",
)


class DeeperViT(ViT):
    """A vision transformer with so many times the blocks of `model`, narrower, with as many parameters.

    times: 1 keeps the shape of `model`.
    """

    def __init__(
        self,
        model: str = "vit_base",
        times: int = 4,
        image_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        channels: int = 3,
        class_token: bool = True,
        positions: str = "sincos",
        drop_path: float = 0.0,
    ):
        shape = deeper_shape(transformer_shape(model), times)
        super().__init__("x".join(map(str, shape)), image_size, patch_size, channels, class_token, positions, drop_path)


def BambooConfigStudy(
    encoder: DeeperViT, decoder: TokenDecoder | None = None, ratio: float = 0.75, normalise: bool = True
) -> MaskedAutoencoder:
    """ratio: share of the patches that is hidden. normalise: predict pixels normalised per patch."""
    target = Pixels(encoder.patch_size, normalise)
    return MaskedAutoencoder(encoder, decoder or TokenDecoder(encoder), RandomMask(ratio), target)


RECIPE = Recipe(optimizer="adamw", lr=1.5e-4, batch=4096, epochs=1600, warmup=40, weight_decay=0.05, betas=(0.9, 0.95))


def tiny() -> tuple[MaskedAutoencoder, Batch]:
    encoder = DeeperViT("16x1x2", times=2, image_size=16, patch_size=4)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return BambooConfigStudy(encoder, TokenDecoder(encoder, width=16, depth=1, heads=2)), {"image": image}
