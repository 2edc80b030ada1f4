"""HPM v2: HPM for any target, from an easy start to hard masks; its own slow features can be what it predicts.

New here: the target may be the features of the slow copy, prediction and target of unit length; the share of hard
patches runs between two ends; learning to predict the loss under random masks is a variant of its own
(`end=0`). Clips are `hpm_bootstrap_video`. All else is HPM's.
Paper: H. Wang et al., "Bootstrap Masked Visual Modeling via Hard Patches Mining", 2023,
https://arxiv.org/abs/2312.13714
Reference: Haochen-Wang409/HPM, models_mae_learn_feature_loss.py and engine_pretrain.py (Apache-2.0); no video code
Differs: as HPM. The released head of the feature target is as wide as the decoder, which fits only CLIP's 512; ours
is as wide as the encoder. Features of other networks (DINO, CLIP) as targets are left out. In the released code "ema"
alone runs into a missing CLIP model.
"""

import torch

from unmask.core import Batch, Card, Recipe, check_choice
from unmask.families import HardPatches
from unmask.families.hard_patches import TARGETS
from unmask.parts.masks.hard import HardMask
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT
from unmask.parts.targets.pixels import Pixels

CARD = Card(
    title="HPM v2",
    paper="https://arxiv.org/abs/2312.13714",
    year=2023,
    data="image",
    hides="the patches it predicts to be hardest, more and more of them",
    predicts="pixels or the slow copy's features, and its own loss",
    family="masked autoencoder",
    id=135,
    claim="hard patches help whatever is predicted, pixels or features",
    usual="as HPM: ImageNet, ViT-B, fine-tuned: 83.0 after 200 epochs, 84.2 after 800",
)


def HPMBootstrap(
    encoder: ViT,
    decoder: TokenDecoder | None = None,
    mask: HardMask | None = None,
    target: str = "pixels",
    normalise: bool = False,
    learns: str = "order",
    decay: tuple[float, ...] = (0.999, 0.9999),
    rise: float = 0.5,
) -> HardPatches:
    """target: "pixels" or the moving average's "features". normalise: pixels are normalised per patch.

    The rest as for HPM.
    """
    check_choice("target", target, TARGETS)
    pixels = Pixels(encoder.patch_size, normalise) if target == "pixels" else None
    return HardPatches(encoder, decoder or TokenDecoder(encoder), mask or HardMask(), pixels, learns, decay, rise)


RECIPE = Recipe(optimizer="adamw", lr=1.5e-4, batch=2048, epochs=200, warmup=40, weight_decay=0.05, betas=(0.9, 0.95))


def tiny() -> tuple[HardPatches, Batch]:
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    decoder = TokenDecoder(encoder, width=16, depth=1, heads=2)
    return HPMBootstrap(encoder, decoder, target="features"), {"image": image}
