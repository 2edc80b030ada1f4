"""Audio-MAE: hides four fifths of a log-mel spectrogram; the decoder's places look at their neighbours only.

New here: the decoder. Neighbouring times and frequencies tell most of a hidden patch, so its places attend within
windows of 4x4 patches, and every second block moves the windows along time, never along frequency. Encoder, random
masks, target and loss are MAE's, on spectrograms.
Paper: P.-Y. Huang et al., "Masked Autoencoders that Listen", NeurIPS 2022, https://arxiv.org/abs/2207.06405
Reference: facebookresearch/AudioMAE, models_mae.py, timm_patch/swin_transformer.py, dataset.py (CC-BY-NC 4.0)
Differs: positions of the released code lie on a grid whose sides are swapped (8x64 for 64x8 patches); here on that of
the patches. No dropout in the network of the window's biases. Sounds longer than a spectrogram are cut at random
moments in training, not at the start; they are not rolled, and their loudness is left as it is.
Not here: masks while fine-tuning, and mixtures of two sounds.
"""

import torch

from unmask.core import Batch, Card, Recipe
from unmask.families import MaskedAutoencoder
from unmask.parts.masks.random import RandomMask
from unmask.parts.nets.spectrogram_vit import SpectrogramViT
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.window_decoder import WindowDecoder
from unmask.parts.targets.pixels import Pixels

CARD = Card(
    title="Audio-MAE",
    paper="https://arxiv.org/abs/2207.06405",
    year=2022,
    data="audio",
    hides="random patches of a spectrogram",
    predicts="normalised log energies",
    family="masked autoencoder",
    id=11,
    claim="local attention in the decoder predicts spectrograms better than global; hiding four fifths is best",
    usual="fine-tuned, ViT-B: AudioSet-2M 47.3 mAP, ESC-50 94.1, Speech Commands 98.3",
)


def AudioMAE(
    encoder: SpectrogramViT,
    decoder: WindowDecoder | TokenDecoder | None = None,
    ratio: float = 0.8,
    normalise: bool = True,
) -> MaskedAutoencoder:
    """decoder: windows, or in Python a `TokenDecoder`, whose attention is global.

    ratio: share of the patches that is hidden. normalise: predict energies normalised per patch.
    """
    target = Pixels(encoder.patch_size, normalise, encoder.key)
    return MaskedAutoencoder(encoder, decoder or WindowDecoder(encoder), RandomMask(ratio), target)


RECIPE = Recipe(
    optimizer="adamw",
    lr=2e-4,
    batch=512,
    epochs=33,
    warmup=3,
    weight_decay=1e-4,
    betas=(0.9, 0.95),
    crop=None,
    flip=False,
)


def tiny() -> tuple[MaskedAutoencoder, Batch]:
    encoder = SpectrogramViT("16x2x2", frames=32, bands=16, patch_size=4)
    spectrogram = torch.randn(4, 1, 32, 16, generator=torch.Generator().manual_seed(0))
    decoder = WindowDecoder(encoder, width=16, depth=2, heads=2)
    return AudioMAE(encoder, decoder), {"spectrogram": spectrogram}
