"""S3D: hides cubes of a medical volume from a residual U-Net that computes at visible voxels only.

New here: masked autoencoding as it is, of voxels, in the network that segments: encoder and decoder are both kept for
segmentation. Norms see visible voxels alone, every stage gets a token where it did not compute and one convolution,
and the squared error counts hidden voxels. Fine-tuning warms up the decoder first, then all (`sawtooth`).
Paper: T. Wald et al., "Revisiting MAE Pre-training for 3D Medical Image Segmentation", CVPR 2025,
https://arxiv.org/abs/2410.23132
Reference: MIC-DKFZ/nnssl, architectures/{spark_model,spark_utils}.py, training/.../{SparkTrainer,BaseMAETrainer}.py
(Apache-2.0). It does not hide the input of the first convolution (`covered`); stages coarser than the cubes of 16
voxels compute everywhere there and here.
Differs: volumes of any size, padding never active. Rates follow warm-up and cosine, not a polynomial; momentum is not
Nesterov's; rotations and scalings are left out, mirroring is kept.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.core import Batch, Card, Context, Features, Mask, Method, Recipe, only_known
from unmask.parts.losses.masked import masked_mean
from unmask.parts.masks.varying import VaryingMask
from unmask.parts.nets.masked_conv import Active, only_active
from unmask.parts.nets.reading import read_stages
from unmask.parts.nets.volume_unet import VolumeDecoder, VolumeEncoder

CARD = Card(
    title="S3D",
    paper="https://arxiv.org/abs/2410.23132",
    year=2025,
    data="volume",
    hides="random cubes of a volume, at every stage of a convolutional network",
    predicts="the intensities of hidden voxels",
    family="masked autoencoder",
    id=149,
    claim="pretrained as a masked autoencoder, nnU-Net's residual U-Net segments better than trained from scratch",
    usual="mean Dice over 11 sets 72.4, from scratch 70.4",
)


class S3DMAEMedical(Method):
    """ratio: share of the cubes that is hidden, or the least and the most of a share drawn for every batch.

    sparse: False computes everywhere, on volumes whose hidden cubes are 0. covered: False lets the first convolution
    see hidden voxels at the borders of visible ones, as released.
    """

    def __init__(
        self,
        encoder: VolumeEncoder,
        decoder: VolumeDecoder | None = None,
        ratio: float | tuple[float, float] = 0.75,
        sparse: bool = True,
        covered: bool = True,
    ):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder or VolumeDecoder(encoder)
        self.sampler = VaryingMask(ratio, "floor_hidden")
        self.sparse, self.covered = sparse, covered

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        mask = self.sampler(self, batch, context) if mask is None else mask
        found, seen, real = self.reconstruct(batch, mask)
        hidden = ~seen.pixels if real is None else ~seen.pixels & real.pixels
        volume = self.encoder.filled(only_known(batch, "volume")["volume"])
        return {"reconstruction": masked_mean((found.float() - volume.float()).square().mean(1), hidden)}

    def reconstruct(self, batch: Batch, mask: Mask) -> tuple[Float[Tensor, "b c i j k"], Active, Active | None]:
        """The predicted volume, filled up to whole cells, and where it was seen and where it is real."""
        volume, valid = only_known(batch, "volume")["volume"], batch.get("volume_valid")
        seen = cast(Active, self.encoder.active(volume, mask, valid))
        real = self.encoder.active(volume, None, valid)
        if self.sparse:
            maps = self.encoder(volume, seen, self.covered)
        else:
            maps = self.encoder(only_active(self.encoder.filled(volume), seen), real)
        return self.decoder(maps, seen if self.sparse else real, real), seen, real

    def places(self, batch: Batch) -> Tensor | None:
        """Which cells hold anything real, or None when all do."""
        real = self.encoder.active(batch["volume"], None, batch.get("volume_valid"))
        if real is None:
            return None
        cells = torch.nn.functional.max_pool3d(real.pixels.unsqueeze(1).float(), self.encoder.patch_size)
        return cells.flatten(1) > 0

    def segment(self, batch: Batch) -> Float[Tensor, "b k i j l"]:
        """What the decoder says of every voxel of whole volumes, whatever its head is made for."""
        volume, valid = only_known(batch, "volume")["volume"], batch.get("volume_valid")
        real = self.encoder.active(volume, None, valid)
        i, j, k = volume.shape[2:]
        return self.decoder(self.encoder(volume, real), real, real)[..., :i, :j, :k]

    def features(self, batch: Batch) -> Features:
        return read_stages(self.encoder, batch)

    @torch.no_grad()
    def shown(self, batch: Batch, context: Context) -> tuple[Float[Tensor, "b c i j k"], Tensor]:
        """The volume with predictions where it is hidden, and where that is."""
        volume = batch["volume"]
        found, seen, _ = self.reconstruct(batch, self.sampler(self, batch, context))
        i, j, k = volume.shape[2:]
        hidden = ~seen.pixels[:, :i, :j, :k]
        return torch.where(hidden.unsqueeze(1), found[..., :i, :j, :k].float(), volume), hidden


RECIPE = Recipe(
    optimizer="sgd",
    lr=0.43,  # the reference's 1e-2 at batches of 6
    batch=6,
    epochs=1000,
    warmup=0,
    weight_decay=3e-5,
    betas=(0.99, 0.999),
    clip=12.0,
    crop=None,
    flip=True,
)


def tiny() -> tuple[S3DMAEMedical, Batch]:
    encoder = VolumeEncoder("4-8/1-1", volume_size=8, cell_size=2)
    volume = torch.randn(4, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    return S3DMAEMedical(encoder), {"volume": volume}
