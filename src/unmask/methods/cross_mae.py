"""CrossMAE: predicts every hidden patch by itself, from what the encoder saw and nothing else.

New here: the decoder. Its queries, one per hidden patch, look at the encoder's tokens and never at each other, so that
any subset of the hidden patches can be decoded alone; a quarter of all patches is, by default. Every block of the
decoder looks at a learned sum of its own of all layers of the encoder. Encoder, target and loss are MAE's.
Paper: L. Fu, L. Lian et al., "Rethinking Patch Dependence for Masked Autoencoders", TMLR 2025,
https://arxiv.org/abs/2401.14391
Reference: TonyLianLong/CrossMAE, models_cross.py, transformer_utils.py (CC-BY-NC 4.0)
Differs: with `decoder_mix=false` the encoder's final norm is used; the released code calls one that it never made. Its
weights of the mixture begin normal and are then overwritten by the initialisation of all linear layers, Xavier's; here
they stay normal. Rows may hide different numbers of patches.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.core import Batch, Card, Mask, Recipe, only_known
from unmask.families import MaskedAutoencoder
from unmask.parts.masks.partial import PartialMask
from unmask.parts.nets.cross_decoder import CrossDecoder
from unmask.parts.nets.transformer import Record
from unmask.parts.nets.vit import ViT
from unmask.parts.targets.pixels import Pixels

CARD = Card(
    title="CrossMAE",
    paper="https://arxiv.org/abs/2401.14391",
    year=2025,
    data="image",
    hides="random patches, of which a part is predicted",
    predicts="normalised pixels",
    family="masked autoencoder",
    id=23,
    claim="as good as MAE while a third of the hidden patches is decoded, without attention between mask tokens",
    usual="as MAE; ImageNet, fine-tuned: ViT-S 79.3, ViT-B 83.7, ViT-L 85.4, ViT-H 86.3",
)


class CrossMAE(MaskedAutoencoder):
    """ratio: share of the patches hidden from the encoder. predicted: share of all patches that is predicted.

    normalise: predict pixels normalised per patch.
    """

    def __init__(
        self,
        encoder: ViT,
        decoder: CrossDecoder | None = None,
        ratio: float = 0.75,
        predicted: float = 0.25,
        normalise: bool = True,
    ):
        super().__init__(
            encoder,
            decoder or CrossDecoder(encoder),
            PartialMask(ratio, predicted),
            Pixels(encoder.patch_size, normalise),
        )
        if self.decoder.mix is not None:
            encoder.trunk.norm.requires_grad_(False)  # the mixture has norms of its own

    def predict(self, batch: Batch, mask: Mask, record: Record | None = None) -> Float[Tensor, "b n k"]:
        """What the decoder says of the hidden places, 0 elsewhere. Its blocks do not see all places: no record."""
        image = only_known(batch)["image"]
        return self.decoder(self.layers(image, mask), mask, self.encoder.grid_of(image))

    def layers(self, image: Float[Tensor, "b c h w"], mask: Mask) -> list[Float[Tensor, "b s d"]]:
        """What the decoder looks at: the encoder's input and every block's output, or its normalised output alone."""
        if self.decoder.mix is None:
            return [self.encoder(image, mask)]
        record = Record()
        self.encoder(image, mask, record, layers=len(self.encoder.trunk.blocks))
        return [self.encoder(image, mask, layers=0), *record.tokens]


RECIPE = Recipe(
    optimizer="adamw",
    lr=5e-5,  # the released code scales MAE's 1.5e-4 by predicted / ratio, a third by default
    batch=4096,
    epochs=800,
    warmup=40,
    weight_decay=0.05,
    betas=(0.9, 0.95),
)


def tiny() -> tuple[CrossMAE, Batch]:
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return CrossMAE(encoder, CrossDecoder(encoder, width=16, depth=2, heads=2)), {"image": image}
