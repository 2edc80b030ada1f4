"""Raw pixels as if they were the features of a network: the baseline that costs no training."""

import torch.nn.functional as F
from torch import nn

from unmask.core import Batch, Features, Method
from unmask.parts.ops.patches import patch_grid, patchify

NUMBERS = 3072  # most numbers per picture: 32 x 32 pixels of three channels


class RawPixels(Method):
    """A picture's own pixels, averaged over areas where there are more than `numbers` of them.

    patch_size: the tokens are the pixels of patches of that side.
    """

    def __init__(self, patch_size: int = 16, numbers: int = NUMBERS):
        super().__init__()
        self.encoder = nn.Identity()
        self.encoder.patch_size = patch_size
        self.numbers = numbers

    def features(self, batch: Batch) -> Features:
        image = batch["image"].float()
        channels, height, width = image.shape[1:]
        shrink = min(1.0, (self.numbers / (channels * height * width)) ** 0.5)
        size = (max(1, int(height * shrink)), max(1, int(width * shrink)))
        small = image if shrink == 1 else F.adaptive_avg_pool2d(image, size)
        patch = int(self.encoder.patch_size)
        return Features(small.flatten(1), patchify(image, patch), patch_grid(height, width, patch))
