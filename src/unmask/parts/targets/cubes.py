"""Pixels of cubes as targets, plain or normalised per cube and channel."""

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.core import Batch
from unmask.parts.ops.cubes import Cube, cubify
from unmask.parts.targets.pixels import Target

EPS = 1e-6  # added to the deviation, as in the released code of VideoMAE


def cube_statistics(
    cubes: Float[Tensor, "b n k"], channels: int
) -> tuple[Float[Tensor, "b n k"], Float[Tensor, "b n k"]]:
    """Mean and deviation (unbiased, never 0) of every channel of every cube, for each of its numbers."""
    pixels = cubes.unflatten(-1, (-1, channels))
    mean, deviation = pixels.mean(-2, keepdim=True), pixels.var(-2, keepdim=True).sqrt() + EPS
    return mean.expand_as(pixels).flatten(-2), deviation.expand_as(pixels).flatten(-2)


class Cubes:
    """The pixels of every cube, in float32.

    normalise: subtract mean and divide by the deviation of each channel of each cube.
    Source: Tong et al. 2022 (VideoMAE), engine_for_pretraining.py.
    """

    def __init__(self, cube: Cube, normalise: bool = True):
        self.cube = cube
        self.normalise = normalise

    def __call__(self, batch: Batch) -> Target:
        video = batch["video"].float()
        cubes = cubify(video, self.cube)
        if self.normalise:
            mean, deviation = cube_statistics(cubes, video.shape[1])
            cubes = (cubes - mean) / deviation
        return Target(cubes)

    def pixels(
        self, prediction: Float[Tensor, "b n k"], mean: Float[Tensor, "b n k"], deviation: Float[Tensor, "b n k"]
    ) -> Float[Tensor, "b n k"]:
        """A prediction as standardised pixels, undone with the given statistics if it was normalised."""
        return torch.addcmul(mean, prediction.float(), deviation) if self.normalise else prediction.float()
