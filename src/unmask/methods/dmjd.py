"""DMJD: two masks of a picture that hide different places, and a second task for the places that are shown.

New here: the second mask hides what the first showed, so that a step predicts every place. Besides, a small projector
predicts the target of the shown places from their encoded tokens alone, without the decoder. The target is a
histogram of oriented gradients. Encoder and decoder are MAE's.
Paper: X. Ma et al., "Disjoint Masking with Joint Distillation for Efficient Masked Image Modeling", 2023,
https://arxiv.org/abs/2301.00230
Reference: mx-mark/DMJD, models_dmjd.py and util/hog_tensor.py (MIT)
Differs: the host is a ViT; the released one has two stages of masked convolutions before it. The released code
compares what it says of the shown places in shuffled order with their targets in raster order; ours are of the same
place. What is hidden again is drawn for every picture, not once per batch. Gradients stop at padding.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unmask.core import Batch, Card, Context, Mask, Recipe, only_known
from unmask.families import MaskedAutoencoder
from unmask.parts.losses.masked import masked_mean, place_mse
from unmask.parts.masks.disjoint import DisjointMask
from unmask.parts.nets.linear import Linear
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.transformer import EPS, initialise
from unmask.parts.nets.vit import ViT
from unmask.parts.targets.hog import Hog
from unmask.parts.targets.pixels import Target

CARD = Card(
    title="DMJD",
    paper="https://arxiv.org/abs/2301.00230",
    year=2023,
    data="image",
    hides="random cells in one view, the others in a second",
    predicts="oriented gradients of hidden and of shown places",
    family="masked autoencoder",
    id=120,
    claim="predicting every place in each step, and shown ones too, learns more from as many encoded pictures",
    usual="ImageNet, ViT-B: fine-tuned 84.1, linear 71.9; ConvViT-B 85.2 and 76.7",
)
BETA = 2.0  # where the smooth L1 loss of the shown places turns linear


class Projector(nn.Sequential):
    """Three linear layers with norms and GELU, the last norm without parameters, then the prediction."""

    def __init__(self, inputs: int, width: int, outputs: int):
        layers: list[nn.Module] = []
        for before in (inputs, width):
            layers += [Linear(before, width), nn.LayerNorm(width, eps=EPS), nn.GELU()]
        plain = nn.LayerNorm(width, eps=EPS, elementwise_affine=False)
        super().__init__(*layers, Linear(width, width), plain, Linear(width, outputs))
        self.apply(initialise)


class DMJD(MaskedAutoencoder):
    """mask: a pair of masks; a sampler of single ones is asked twice. shown: weight of the shown places' task."""

    def __init__(
        self,
        encoder: ViT,
        decoder: TokenDecoder | None = None,
        mask: DisjointMask | None = None,
        target: Hog | None = None,
        shown: float = 1.0,
    ):
        target, decoder = target or Hog(encoder), decoder or TokenDecoder(encoder)
        decoder.rehead(target.outputs)
        super().__init__(encoder, decoder, mask or DisjointMask(), target)
        self.projector = Projector(encoder.width, decoder.embed.out_features, target.outputs)
        self.shown = shown

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        batch = only_known(batch)
        image, target, places = batch["image"], self.target(batch), self.places(batch)
        errors, misses, hidden, counted = [], [], [], []
        for view in self._views(batch, context) if mask is None else [mask]:
            tokens = self.encoder(image, view)
            prediction = self.decoder(tokens, view, self.encoder.grid_of(image), None, places)
            errors.append(place_mse(prediction, target.values, target.real))
            hidden.append(view.hidden)
            miss, real = self._misses(tokens[:, self.encoder.prefix :], view, target)
            misses.append(miss.flatten())
            counted.append(real.flatten())
        return {
            "hidden": masked_mean(torch.cat(errors), torch.cat(hidden)),
            "shown": self.shown * masked_mean(torch.cat(misses), torch.cat(counted)),
        }

    def _views(self, batch: Batch, context: Context) -> tuple[Mask, ...]:
        if isinstance(self.sampler, DisjointMask):
            return self.sampler.pair(self, batch, context)
        return tuple(self.sampler(self, batch, context) for _ in range(2))

    def _misses(self, tokens: Float[Tensor, "b s d"], view: Mask, target: Target) -> tuple[Tensor, Tensor]:
        """How far off every number of every shown place is, and which of them count."""
        wanted = view.visible(target.values)
        miss = F.smooth_l1_loss(self.projector(tokens).float(), wanted, reduction="none", beta=BETA)
        real = torch.ones_like(miss, dtype=torch.bool)
        if view.valid is not None:
            real = real & view.valid.unsqueeze(-1)
        return miss, real if target.real is None else real & (view.visible(target.real.float()) > 0)


# the released rate is scaled by the share predicted over the share hidden, 1 / 0.6
RECIPE = Recipe(
    optimizer="adamw",
    lr=6e-4 / 0.6,
    batch=512,
    epochs=400,
    warmup=20,
    weight_decay=0.05,
    betas=(0.9, 0.95),
    crop=(0.5, 1.0),
)


def tiny() -> tuple[DMJD, Batch]:
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return DMJD(encoder, TokenDecoder(encoder, width=16, depth=1, heads=2)), {"image": image}
