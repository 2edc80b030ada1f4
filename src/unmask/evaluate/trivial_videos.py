"""Predictions of hidden cubes that need no learning: what a network of clips must beat."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.core import Batch, Mask
from unmask.evaluate.trivial import inpaint, nearest_seen, seen_places
from unmask.parts.ops.cubes import cubify, uncubify


def guessed_videos(method: Any, batch: Batch, mask: Mask) -> dict[str, Float[Tensor, "b c t h w"]]:
    """What each trivial predictor makes of the hidden cubes, as standardised clips.

    mean: the data set's mean everywhere. visible: the mean of the visible pixels of each clip and channel. nearest: a
    copy of the nearest visible cube, in space or time. inpainted: the visible pixels of each frame, continued smoothly.
    """
    video, encoder = batch["video"].float(), method.encoder
    grid, cube, seen = encoder.grid_of(video), encoder.cube, seen_places(mask)
    cubes = cubify(video, cube)
    known = uncubify(seen.unsqueeze(-1).to(cubes.dtype).expand(*seen.shape, cubes.shape[-1]), grid, cube)[:, :1]
    mean = (video * known).sum((-3, -2, -1), keepdim=True) / known.sum((-3, -2, -1), keepdim=True).clamp(min=1)
    source = nearest_seen(seen, grid).unsqueeze(-1).expand(cubes.shape)
    frames, plain = video.transpose(1, 2).flatten(0, 1), known.transpose(1, 2).flatten(0, 1).squeeze(1) > 0
    return {
        "mean": torch.zeros_like(video),
        "visible": mean.expand_as(video),
        "nearest": uncubify(cubes.gather(1, source), grid, cube),
        "inpainted": inpaint(frames, plain).unflatten(0, (video.shape[0], -1)).transpose(1, 2),
    }
