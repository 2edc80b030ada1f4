"""HPM: a slow copy of the network predicts where it will err, and what it finds hardest is hidden.

New here: a second decoder learns the order of the losses of a picture's hidden patches from the first one's errors. A
moving average of the whole network sees the picture and predicts them for every patch; the hardest are hidden, a
share of the mask that grows to a half, and the rest of the mask is random. Everything else is MAE's.
Paper: H. Wang et al., "Hard Patches Mining for Masked Image Modeling", CVPR 2023, https://arxiv.org/abs/2304.05919
Reference: Haochen-Wang409/HPM, models_mae_learn_loss.py and engine_pretrain.py (Apache-2.0)
Differs: the share of hard patches and the decay of the moving average follow the progress of the training, not whole
epochs: the released code adds one to the epoch, and reaches the last decay at epoch 100 of 200 or 800. Pictures whose
patches are all equally hard are masked at random. With all losses tied the released loss is not a number, here 0.
"""

import torch

from unmask.core import Batch, Card, Recipe
from unmask.families import HardPatches
from unmask.parts.masks.hard import HardMask
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT
from unmask.parts.targets.pixels import Pixels

CARD = Card(
    title="HPM",
    paper="https://arxiv.org/abs/2304.05919",
    year=2023,
    data="image",
    hides="the patches it predicts to be hardest, more and more of them",
    predicts="pixels, and its own loss",
    family="masked autoencoder",
    id=94,
    claim="hiding the hardest patches teaches more than hiding random ones; predicting the loss alone already helps",
    usual="ImageNet, ViT-B, fine-tuned: 83.0 after 200 epochs, 84.2 after 800; frozen features as MAE's",
)


def HPM(
    encoder: ViT,
    decoder: TokenDecoder | None = None,
    mask: HardMask | None = None,
    normalise: bool = False,
    learns: str = "order",
    decay: tuple[float, ...] = (0.999, 0.9999),
    rise: float = 0.5,
) -> HardPatches:
    """mask: how much of what is hard is hidden, and when. normalise: predict pixels normalised per patch.

    learns: the "order" of a picture's losses, or their "value". decay, rise: of the moving average, first and last, and
    the share of the training over which it rises.
    """
    target = Pixels(encoder.patch_size, normalise)
    return HardPatches(encoder, decoder or TokenDecoder(encoder), mask or HardMask(), target, learns, decay, rise)


RECIPE = Recipe(optimizer="adamw", lr=1.5e-4, batch=2048, epochs=200, warmup=40, weight_decay=0.05, betas=(0.9, 0.95))


def tiny() -> tuple[HardPatches, Batch]:
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    image = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return HPM(encoder, TokenDecoder(encoder, width=16, depth=1, heads=2)), {"image": image}
