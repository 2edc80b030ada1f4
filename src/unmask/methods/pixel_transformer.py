"""Pixel Transformer (PiT): single pixels are the tokens of a masked autoencoder.

New here: the encoder. A token is one pixel, embedded by a linear map of its channels; positions are learned from
random numbers, in encoder and decoder alike, so that nothing says which pixels are neighbours. Mask and decoder are
MAE's, on many more places; the target is the pixel's own colour, since a single pixel cannot be normalised.
Paper: D.-K. Nguyen et al., "An Image is Worth More Than 16x16 Patches: Exploring Transformers on Individual Pixels",
2024, https://arxiv.org/abs/2406.09415
Reference: none released for masked autoencoding.
Differs: of the paper's three uses, this is the masked autoencoder. A picture of another size than `image_size` is
placed by resizing the learned positions, which then know of neighbours. What the paper does not say of the optimiser
is MAE's.
"""

import torch

from unmask.core import Batch, Card, Recipe
from unmask.families import MaskedAutoencoder
from unmask.parts.masks.random import RandomMask
from unmask.parts.nets.positions import Positions
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT
from unmask.parts.targets.pixels import Pixels

CARD = Card(
    title="Pixel Transformer",
    paper="https://arxiv.org/abs/2406.09415",
    year=2024,
    data="image",
    hides="random single pixels",
    predicts="the colour of each pixel",
    family="masked autoencoder",
    id=115,
    claim="a transformer needs no patches: single pixels as tokens do better at equal resolution, at a higher cost",
    usual="small pictures only: 32x32 pixels are 1024 tokens, 16 times the attention per block of patches of 2",
)


class PixelViT(ViT):
    """A vision transformer whose patches are single pixels.

    image_size: side of the pictures in pixels, or (height, width); the cost grows with its fourth power.
    positions: "learned", or "sincos" for the comparison with positions that know of neighbours.
    """

    def __init__(
        self,
        model: str = "vit_tiny",
        image_size: int | tuple[int, int] = 32,
        channels: int = 3,
        class_token: bool = True,
        positions: str = "learned",
        drop_path: float = 0.0,
        layer_scale: float | None = None,
    ):
        super().__init__(model, image_size, 1, channels, class_token, positions, drop_path, layer_scale)


def PixelTransformer(encoder: PixelViT, decoder: TokenDecoder | None = None, ratio: float = 0.75) -> MaskedAutoencoder:
    """ratio: share of the pixels that is hidden. The decoder is given positions of the encoder's kind."""
    decoder = decoder or TokenDecoder(encoder)
    decoder.positions = Positions(encoder.grid, decoder.positions.width, encoder.positions.kind)
    return MaskedAutoencoder(encoder, decoder, RandomMask(ratio), Pixels(1, normalise=False))


RECIPE = Recipe(optimizer="adamw", lr=1.5e-4, batch=4096, epochs=800, warmup=40, weight_decay=0.05, betas=(0.9, 0.95))


def tiny() -> tuple[MaskedAutoencoder, Batch]:
    encoder = PixelViT("16x2x2", image_size=8)
    image = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return PixelTransformer(encoder, TokenDecoder(encoder, width=16, depth=1, heads=2)), {"image": image}
