"""TBM: modules between the layers take corruption out of the features, while masked autoencoding sees corrupted data.

New here: the Token Boosting Module. It adds noise of a learned size to corrupted features, recovers them, and takes the
step from noisy to recovered twice, which removes a corruption that is distributed like the noise. Its error joins the
loss. The host is MAE, on pictures that are corrupted before anything else, so that no clean one is ever seen.
Paper: T. Li et al., "Token Boosting for Robust Self-Supervised Visual Transformer Pre-training", CVPR 2023,
https://arxiv.org/abs/2304.04175
Reference: none released. The equations are the paper's; sizes that it leaves open are arguments.
Differs: the modules stand at a quarter, a half and three quarters of the depth; the autoencoder has three layers and
half the width; noise begins at a deviation of 0.1; the weight of its error is 1. In evaluation no noise is added, or
the mean over `boosters_draws` draws is taken. Corruptions are of the pictures; skeletons and depth are left out. An
encoder with such modules is no plain transformer: other libraries' formats refuse it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.core import Batch, Card, Context, Mask, Recipe, only_known
from unmask.families import MaskedAutoencoder
from unmask.parts.losses.masked import masked_mse
from unmask.parts.masks.corruption import Corruption
from unmask.parts.masks.random import RandomMask
from unmask.parts.nets.booster import Boosters, BoostRecord
from unmask.parts.nets.pixel_range import PixelRange
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT
from unmask.parts.targets.pixels import Pixels

CARD = Card(
    title="TBM",
    paper="https://arxiv.org/abs/2304.04175",
    year=2023,
    data="image",
    hides="random patches of corrupted pictures",
    predicts="normalised pixels",
    family="masked autoencoder",
    id=137,
    claim="boosting tokens between layers makes pretraining on corrupted data more robust",
    usual="as MAE on clean pictures, less on corrupted ones",
)


class Wear(Corruption):
    """Corruptions of the strengths that data may have: for every picture less resolution, blur or noise."""

    def __init__(
        self,
        kind: str = "mixed",
        factor: int = 2,
        blur: tuple[float, ...] = (0.5, 2.0),
        noise: tuple[float, ...] = (10.0, 75.0),
    ):
        super().__init__(kind, factor=factor, blur=blur, noise=noise)


class TBM(MaskedAutoencoder):
    """boosters: what stands between the layers. corruption: what is done to pictures in training, if `corrupt`.

    strength: weight of the modules' own error. ratio: share of the patches that is hidden.
    """

    def __init__(
        self,
        encoder: ViT,
        decoder: TokenDecoder | None = None,
        boosters: Boosters | None = None,
        corruption: Wear | None = None,
        pixels: PixelRange | None = None,
        ratio: float = 0.75,
        strength: float = 1.0,
        corrupt: bool = True,
    ):
        super().__init__(encoder, decoder or TokenDecoder(encoder), RandomMask(ratio), Pixels(encoder.patch_size))
        (boosters or Boosters()).put_into(encoder)
        self.corruption = corruption or Wear()
        self.pixels = pixels or PixelRange()
        self.strength = strength
        self.corrupt = corrupt

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        batch = only_known(batch)
        mask = self.sampler(self, batch, context) if mask is None else mask
        if self.corrupt:
            batch = only_known(batch | {"image": self.corrupted(batch, context)})
        image, target, record = batch["image"], self.target(batch), BoostRecord(context=context)
        tokens = self.encoder(image, mask, record)
        prediction = self.decoder(tokens, mask, self.encoder.grid_of(image), None, self.places(batch))
        terms = {"reconstruction": masked_mse(prediction, target.values, mask.hidden, target.real)}
        if record.terms:
            terms["boosting"] = self.strength * torch.stack(record.terms).sum()
        return terms

    def corrupted(self, batch: Batch, context: Context) -> Float[Tensor, "b c h w"]:
        """The pictures as corrupted data would have them, standardised."""
        return self.pixels.standardised(self.corruption(self.pixels(batch["image"]), context).values)


RECIPE = Recipe(optimizer="adamw", lr=1.5e-4, batch=4096, epochs=800, warmup=40, weight_decay=0.05, betas=(0.9, 0.95))


def tiny() -> tuple[TBM, Batch]:
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return TBM(encoder, TokenDecoder(encoder, width=16, depth=1, heads=2), Boosters(count=1)), {"image": image}
