"""SparK: hides cells of the picture from a convolutional network and predicts them from the maps of all its stages.

New here: a hierarchical convolutional encoder cannot drop what is hidden, so it computes at the visible cells only:
convolutions and pooling leave 0 elsewhere, norms read active positions alone. A light U-Net fills the holes of every
stage with a mask token of its own and decodes them from coarse to fine. Mask, target and loss are MAE's.
Paper: K. Tian et al., "Designing BERT for Convolutional Networks: Sparse and Hierarchical Masked Modeling", ICLR 2023,
https://arxiv.org/abs/2301.03580
Reference: keyu-tian/SparK, pretrain/{spark,encoder,decoder}.py (MIT), where the map of active positions is a global.
Differs: pictures of any shape, size and channel count, padding never active; pictures too small for a stride of 32 get
a finer first stage (`cell_size`). The released recipe raises weight decay from 0.04 to 0.2 and warms up from 0.5 % of
the learning rate down to 0.1 % of it; here weight decay stays where it begins and both ends are 0.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.core import Batch, Card, Features, Mask, Recipe, only_known
from unmask.families import MaskedAutoencoder
from unmask.parts.masks.random import RandomMask
from unmask.parts.nets.convnet import ConvNet
from unmask.parts.nets.masked_conv import only_active
from unmask.parts.nets.reading import read_stages
from unmask.parts.nets.transformer import Record
from unmask.parts.nets.unet_decoder import UNetDecoder
from unmask.parts.ops.patches import pad_to_patches, patchify
from unmask.parts.targets.pixels import Pixels

CARD = Card(
    title="SparK",
    paper="https://arxiv.org/abs/2301.03580",
    year=2023,
    data="image",
    hides="random cells, at every stage of a convolutional network",
    predicts="normalised pixels",
    family="masked autoencoder",
    id=161,
    claim="computing at visible positions only and decoding every stage makes masked pretraining work for convnets",
    usual="ImageNet, fine-tuned: ResNet-50 80.6, ConvNeXt-Small 84.1; frozen features are weaker, as after MAE",
)


class SparK(MaskedAutoencoder):
    """ratio: share of the cells that is hidden. normalise: predict pixels normalised per cell.

    sparse: False computes everywhere, on pictures whose hidden cells are 0: the paper's ablation.
    """

    def __init__(
        self,
        encoder: ConvNet,
        decoder: UNetDecoder | None = None,
        ratio: float = 0.6,
        normalise: bool = True,
        sparse: bool = True,
    ):
        super().__init__(
            encoder, decoder or UNetDecoder(encoder), RandomMask(ratio, "round"), Pixels(encoder.patch_size, normalise)
        )
        self.sparse = sparse

    def predict(self, batch: Batch, mask: Mask, record: Record | None = None) -> Float[Tensor, "b n k"]:
        """What the decoder says of every cell; `record` follows the decoder's blocks."""
        batch = only_known(batch)
        image, valid = batch["image"], batch.get("image_valid")
        seen, real = self.encoder.active(image, mask, valid), self.encoder.active(image, None, valid)
        if self.sparse:
            stages = self.encoder(image, seen)
        else:
            stages = self.encoder(only_active(pad_to_patches(image, self.encoder.patch_size), seen), real)
        return patchify(self.decoder(stages, seen, real, record), self.encoder.patch_size)

    def features(self, batch: Batch) -> Features:
        return read_stages(self.encoder, batch)


RECIPE = Recipe(
    optimizer="lamb",
    lr=2e-4,
    batch=4096,
    epochs=1600,
    warmup=40,
    weight_decay=0.04,
    betas=(0.9, 0.95),
    clip=5.0,
    crop=(0.67, 1.0),
)


def tiny() -> tuple[SparK, Batch]:
    encoder = ConvNet("resnet:8-16-24/1-1-1", image_size=16)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return SparK(encoder, UNetDecoder(encoder, width=16)), {"image": image}
