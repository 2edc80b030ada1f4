"""Pixels as targets, plain or normalised per patch."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch
from unmask.parts.ops.patches import patchify, valid_pixels

EPS = 1e-6  # added to the variance, as in the released code of MAE


class Target(NamedTuple):
    """What to predict at every place, and which of its numbers are real (None: all)."""

    values: Float[Tensor, "b n k"]
    real: Bool[Tensor, "b n k"] | None = None


def patch_statistics(
    patches: Float[Tensor, "b n k"], real: Bool[Tensor, "b n k"] | None = None
) -> tuple[Float[Tensor, "b n 1"], Float[Tensor, "b n 1"]]:
    """Mean and standard deviation (unbiased, floored) of every patch over its real numbers."""
    if real is None:
        return patches.mean(-1, keepdim=True), (patches.var(-1, keepdim=True) + EPS).sqrt()
    weight = real.to(patches.dtype)
    count = weight.sum(-1, keepdim=True)
    mean = (patches * weight).sum(-1, keepdim=True) / count.clamp(min=1)
    square = ((patches - mean) * weight).square().sum(-1, keepdim=True)
    return mean, (square / (count - 1).clamp(min=1) + EPS).sqrt()


class Pixels:
    """The pixels of every patch, in float32.

    normalise: subtract the patch's mean and divide by its standard deviation. key: of the pixels in the batch.
    Source: He et al. 2022 (MAE), norm_pix_loss.
    """

    def __init__(self, patch_size: int, normalise: bool = True, key: str = "image"):
        self.patch_size = patch_size
        self.normalise = normalise
        self.key = key

    def __call__(self, batch: Batch) -> Target:
        image = batch[self.key].float()
        patches = patchify(image, self.patch_size)
        valid = valid_pixels(image, batch.get(f"{self.key}_valid"), self.patch_size)
        real = None if valid is None else valid.repeat_interleave(image.shape[1], dim=-1)
        if self.normalise:
            mean, deviation = patch_statistics(patches, real)
            patches = (patches - mean) / deviation
        return Target(patches, real)

    def pixels(
        self, prediction: Float[Tensor, "b n k"], mean: Float[Tensor, "b n 1"], deviation: Float[Tensor, "b n 1"]
    ) -> Float[Tensor, "b n k"]:
        """A prediction as standardised pixels, undone with the given statistics if it was normalised."""
        return torch.addcmul(mean, prediction.float(), deviation) if self.normalise else prediction.float()
