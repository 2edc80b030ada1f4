"""VideoMAE: hides the same nine tenths of every frame of a clip and predicts the hidden cubes.

New here: tubes. What is hidden in one frame is hidden in all, so that it cannot be copied from the frame before; that
allows nine tenths to be hidden, and few videos to suffice. Cubes of two frames are the places, attention is joint in
space and time, the decoder gets visible and mask tokens one after the other.
Paper: Z. Tong et al., "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video
Pre-Training", NeurIPS 2022, https://arxiv.org/abs/2203.12602
Reference: MCG-NJU/VideoMAE, masking_generator.py, modeling_pretrain.py, engine_for_pretraining.py (CC-BY-NC 4.0)
Differs: pixels are standardised by the data card; targets that are not normalised stay so, where the released code
brings them back to between 0 and 1. A crop is one of any place and shape within the recipe's area, instead of thirteen
places at four scales. The stride shrinks where a video is too short for it.
"""

import torch

from unmask.core import Batch, Card, Recipe
from unmask.families import MaskedAutoencoder
from unmask.parts.masks.tube import TubeMask
from unmask.parts.nets.concat_decoder import ConcatDecoder
from unmask.parts.nets.video_vit import VideoViT
from unmask.parts.targets.cubes import Cubes

CARD = Card(
    title="VideoMAE",
    paper="https://arxiv.org/abs/2203.12602",
    year=2022,
    data="video",
    hides="random places, the same in every frame",
    predicts="pixels of cubes, normalised per cube and channel",
    family="masked autoencoder",
    id=20,
    claim="nine tenths can be hidden in tubes, and a few thousand videos are enough",
    usual="fine-tuned, ViT-B: Kinetics-400 81.5, Something-Something V2 70.8, UCF101 91.3, HMDB51 62.6",
)


def VideoMAE(
    encoder: VideoViT, decoder: ConcatDecoder | None = None, ratio: float = 0.9, normalise: bool = True
) -> MaskedAutoencoder:
    """ratio: share of a frame's places that is hidden. normalise: predict pixels normalised per cube and channel."""
    return MaskedAutoencoder(
        encoder, decoder or ConcatDecoder(encoder), TubeMask(ratio), Cubes(encoder.cube, normalise)
    )


RECIPE = Recipe(
    optimizer="adamw",
    lr=1.5e-4,
    batch=2048,
    epochs=800,
    warmup=40,
    weight_decay=0.05,
    betas=(0.9, 0.95),
    crop=(0.4356, 1.0),  # 0.66 squared: the smallest of the sides 1, 0.875, 0.75, 0.66
    flip=False,
)


def tiny() -> tuple[MaskedAutoencoder, Batch]:
    encoder = VideoViT("16x2x2", image_size=16, patch_size=4, frames=4)
    video = torch.randn(4, 3, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    return VideoMAE(encoder, ConcatDecoder(encoder, width=16, depth=1, heads=2), 0.75), {"video": video}
