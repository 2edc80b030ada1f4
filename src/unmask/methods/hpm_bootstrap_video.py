"""HPM v2 for clips: the hardest places of a frame are hidden at every time.

New here: hardness is predicted for every cube of a clip and averaged over time, so that what is hidden are tubes and
nothing can be copied from another frame. Network, decoder and recipe are VideoMAE's; all else is HPM v2's.
Paper: H. Wang et al., "Bootstrap Masked Visual Modeling via Hard Patches Mining", 2023,
https://arxiv.org/abs/2312.13714
Reference: none; the released code of HPM v2 has no videos
Differs: that hardness is averaged over time is recalled, as are the share of 0.9 and VideoMAE's recipe. The predictor
of losses reads all cubes in their order, where VideoMAE's decoder has the visible ones first.
"""

import torch

from unmask.core import Batch, Card, Recipe, check_choice
from unmask.families import HardPatches
from unmask.families.hard_patches import TARGETS
from unmask.parts.masks.hard import HardTubes
from unmask.parts.nets.concat_decoder import ConcatDecoder
from unmask.parts.nets.video_vit import VideoViT
from unmask.parts.targets.cubes import Cubes

CARD = Card(
    title="HPM v2, video",
    paper="https://arxiv.org/abs/2312.13714",
    year=2023,
    data="video",
    hides="the places it predicts to be hardest over time, in every frame",
    predicts="pixels of cubes or the slow copy's features, and its own loss",
    family="masked autoencoder",
    id=135,
    claim="hard masks find what moves, and gain on videos as they do on pictures",
    usual="fine-tuned, as VideoMAE",
)


def HPMBootstrapVideo(
    encoder: VideoViT,
    decoder: ConcatDecoder | None = None,
    mask: HardTubes | None = None,
    target: str = "pixels",
    normalise: bool = True,
    learns: str = "order",
    decay: tuple[float, ...] = (0.999, 0.9999),
    rise: float = 0.5,
) -> HardPatches:
    """target: "pixels" or the moving average's "features". normalise: pixels are normalised per cube and channel.

    The rest as for HPM.
    """
    check_choice("target", target, TARGETS)
    pixels = Cubes(encoder.cube, normalise) if target == "pixels" else None
    return HardPatches(encoder, decoder or ConcatDecoder(encoder), mask or HardTubes(), pixels, learns, decay, rise)


RECIPE = Recipe(
    optimizer="adamw",
    lr=1.5e-4,
    batch=2048,
    epochs=800,
    warmup=40,
    weight_decay=0.05,
    betas=(0.9, 0.95),
    crop=(0.4356, 1.0),  # as VideoMAE
    flip=False,
)


def tiny() -> tuple[HardPatches, Batch]:
    encoder = VideoViT("16x2x2", image_size=16, patch_size=4, frames=4)
    video = torch.randn(4, 3, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    decoder = ConcatDecoder(encoder, width=16, depth=1, heads=2)
    return HPMBootstrapVideo(encoder, decoder, HardTubes(0.75)), {"video": video}
