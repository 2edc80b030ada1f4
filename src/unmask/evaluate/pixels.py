"""Raw pixels as if they were the features of a network: the baseline that costs no training."""

import torch.nn.functional as F

from unmask.core import Batch, Features, Method
from unmask.parts.ops.patches import patch_grid, patchify

PATCH = 16  # side of the patches where the network that is compared has none
NUMBERS = 3072  # most numbers per picture: 32 x 32 pixels of three channels


class RawPixels(Method):
    """A picture's own pixels, averaged over areas where there are more than `numbers` of them.

    patch_size: the tokens are the pixels of patches of that side.
    """

    def __init__(self, patch_size: int = PATCH, numbers: int = NUMBERS):
        super().__init__()
        self.patch_size = patch_size
        self.numbers = numbers

    def features(self, batch: Batch) -> Features:
        image = batch["image"].float()
        channels, height, width = image.shape[1:]
        shrink = min(1.0, (self.numbers / (channels * height * width)) ** 0.5)
        size = (max(1, int(height * shrink)), max(1, int(width * shrink)))
        small = image if shrink == 1 else F.adaptive_avg_pool2d(image, size)
        tokens = patchify(image, self.patch_size)
        return Features(small.flatten(1), tokens, patch_grid(height, width, self.patch_size))
