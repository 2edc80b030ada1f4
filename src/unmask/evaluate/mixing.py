"""Training pictures mixed and erased, so that fine-tuning does not learn them by heart."""

import math
import random
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torchvision.transforms.v2 import functional as pictures

from unmask.core import Batch

AREA = (0.02, 1 / 3)  # share of the picture that is erased; Zhong et al. 2020
ASPECT = (0.3, 1 / 0.3)


def mixup(
    batch: Batch, targets: Float[Tensor, "b k"], order: Int64[Tensor, "b"], share: float
) -> tuple[Batch, Float[Tensor, "b k"]]:
    """Every picture times `share` plus its partner times the rest, and their targets alike.

    Source: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization".
    """
    mixed = {**batch, "image": torch.lerp(batch["image"][order], batch["image"], share)}
    if "image_valid" in batch:
        mixed["image_valid"] = batch["image_valid"] | batch["image_valid"][order]
    return mixed, torch.lerp(targets[order], targets, share)


def cutmix(
    batch: Batch, targets: Float[Tensor, "b k"], order: Int64[Tensor, "b"], box: tuple[int, int, int, int]
) -> tuple[Batch, Float[Tensor, "b k"]]:
    """A box (top, left, height, width) of every picture comes from its partner; targets mix by its true area.

    Source: Yun et al. 2019 (CutMix), equation 1.
    """
    top, left, height, width = box
    mixed = dict(batch)
    for key in ("image", "image_valid"):
        if key in batch:
            mixed[key] = batch[key].clone()
            place = (..., slice(top, top + height), slice(left, left + width))
            mixed[key][place] = batch[key][order][place]
    share = 1 - height * width / math.prod(batch["image"].shape[-2:])
    return mixed, torch.lerp(targets[order], targets, share)


def cut_box(share: float, centre: tuple[float, float], size: Sequence[int]) -> tuple[int, int, int, int]:
    """A box of the picture's shape and the area 1 - share around the centre, cut at the edges."""
    spans = []
    for middle, side in zip(centre, size, strict=True):
        half = int(side * math.sqrt(1 - share)) // 2
        first, last = max(int(middle * side) - half, 0), min(int(middle * side) + half, side)
        spans.append((first, last - first))
    return spans[0][0], spans[1][0], spans[0][1], spans[1][1]


def erase_box(
    area: float, aspect: float, place: tuple[float, float], size: Sequence[int]
) -> tuple[int, int, int, int] | None:
    """A box of that share of the picture and that height by width, or None where it does not fit."""
    height = round(math.sqrt(area * size[0] * size[1] * aspect))
    width = round(math.sqrt(area * size[0] * size[1] / aspect))
    if not (0 < height < size[0] and 0 < width < size[1]):
        return None
    return int(place[0] * (size[0] - height + 1)), int(place[1] * (size[1] - width + 1)), height, width


class Mixing:
    """Mixup, CutMix and random erasing; every batch is mixed in one of the two ways, half of the time each.

    mixup, cutmix: of the Beta distribution of shares, 0 for none. erasing: chance of a picture to lose a box, which
    is filled with normal noise.
    Source: the fine-tuning of He et al. 2022 (MAE), table 9; Zhong et al. 2020, "Random Erasing".
    """

    def __init__(self, mixup: float = 0.8, cutmix: float = 1.0, erasing: float = 0.25, seed: int = 0):
        if min(mixup, cutmix) < 0 or not 0 <= erasing <= 1:
            raise ValueError(f"mixup {mixup}, cutmix {cutmix} must be 0 or more and erasing {erasing} between 0 and 1")
        self.mixup = mixup
        self.cutmix = cutmix
        self.erasing = erasing
        self.dice = random.Random(seed)
        self.noise = torch.Generator().manual_seed(seed)

    def __call__(self, batch: Batch, targets: Float[Tensor, "b k"]) -> tuple[Batch, Float[Tensor, "b k"]]:
        batch = {**batch, "image": self.erase(batch["image"])} if self.erasing else batch
        ways = [way for way, strength in (("mixup", self.mixup), ("cutmix", self.cutmix)) if strength]
        if not ways:
            return batch, targets
        order = torch.randperm(len(targets), generator=self.noise).to(targets.device)
        if self.dice.choice(ways) == "mixup":
            return mixup(batch, targets, order, self.dice.betavariate(self.mixup, self.mixup))
        share, centre = self.dice.betavariate(self.cutmix, self.cutmix), (self.dice.random(), self.dice.random())
        return cutmix(batch, targets, order, cut_box(share, centre, batch["image"].shape[-2:]))

    def erase(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Some pictures with a box of noise."""
        image = image.clone()
        for row in range(len(image)):
            if self.dice.random() >= self.erasing:
                continue
            aspect = math.exp(self.dice.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
            place = (self.dice.random(), self.dice.random())
            box = erase_box(self.dice.uniform(*AREA), aspect, place, image.shape[-2:])
            if box is not None:
                noise = torch.randn(image.shape[1], *box[2:], generator=self.noise).to(image)
                image[row] = pictures.erase(image[row], *box, noise)
        return image
