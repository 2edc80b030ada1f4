"""Predictions that need no learning: what a network must beat before it has understood anything."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from unmask.core import Batch, Mask, key_of
from unmask.parts.ops.patches import pad_to_patches, patchify, unpatchify, valid_pixels

RELAXATIONS = 8  # smoothing passes per scale; more change the result by little, since coarse scales come first


def seen_places(mask: Mask) -> Bool[Tensor, "b n"]:
    """True where the encoder sees a place."""
    seen = torch.zeros_like(mask.hidden)
    valid = torch.ones_like(mask.kept, dtype=torch.bool) if mask.valid is None else mask.valid
    return seen.scatter(-1, mask.kept, valid)


def nearest_seen(seen: Bool[Tensor, "b n"], grid: tuple[int, ...]) -> Int64[Tensor, "b n"]:
    """For every place the seen place at the least distance on the grid; the first in reading order among equals."""
    n = math.prod(grid)
    place = torch.arange(n, device=seen.device)
    axes = torch.meshgrid(*(torch.arange(size, device=seen.device) for size in grid), indexing="ij")
    square = torch.stack([(axis.flatten()[:, None] - axis.flatten()).square() for axis in axes]).sum(0)
    cost = square * n + place  # unique per row, so that no tie is left to the device
    return torch.stack([cost.masked_fill(~own, cost.max() + 1).argmin(-1) for own in seen])


def inpaint(picture: Float[Tensor, "b c h w"], known: Bool[Tensor, "b h w"]) -> Float[Tensor, "b c h w"]:
    """Continues the known pixels smoothly into the unknown ones; known pixels stay, constants are exact.

    Solves Laplace's equation approximately from coarse to fine: averages of known pixels are halved in size until
    nothing is unknown, then enlarged bilinearly and relaxed at every scale.
    """
    weight = known.unsqueeze(1).to(picture.dtype)
    h, w = picture.shape[-2:]
    if bool(known.all()) or max(h, w) == 1:
        return picture * weight
    share = F.avg_pool2d(weight, 2, ceil_mode=True)
    coarse = F.avg_pool2d(picture * weight, 2, ceil_mode=True) / share.clamp(min=1e-6)
    filled = F.interpolate(inpaint(coarse, share.squeeze(1) > 0), size=(h, w), mode="bilinear", align_corners=False)
    for _ in range(RELAXATIONS):
        filled = torch.where(weight > 0, picture, filled)
        filled = F.avg_pool2d(F.pad(filled, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return torch.where(weight > 0, picture, filled)


def guessed_pictures(method: Any, batch: Batch, mask: Mask) -> dict[str, Float[Tensor, "b c h w"]]:
    """`trivial_pictures` of what the method's encoder reads, cut as it cuts it."""
    key = key_of(method.encoder)
    pictures = {"image": batch[key]} | ({"image_valid": batch[f"{key}_valid"]} if f"{key}_valid" in batch else {})
    return trivial_pictures(pictures, mask, method.encoder.grid_of(batch[key]), method.encoder.patch_size)


def trivial_pictures(
    batch: Batch, mask: Mask, grid: tuple[int, int], patch: int
) -> dict[str, Float[Tensor, "b c h w"]]:
    """What each trivial predictor makes of the hidden places, as standardised pictures.

    mean: the data set's mean everywhere. visible: the mean of the visible pixels of each picture and channel.
    nearest: a copy of the nearest visible patch. inpainted: the visible pixels, continued smoothly.
    """
    image = batch["image"].float()
    h, w = image.shape[-2:]
    seen, real = seen_places(mask), valid_pixels(image, batch.get("image_valid"), patch)
    known = seen.unsqueeze(-1).expand(*seen.shape, patch * patch) if real is None else real & seen.unsqueeze(-1)
    plane = unpatchify(known.float(), grid, patch)
    whole = pad_to_patches(image, patch) * plane
    mean = whole.sum((-2, -1), keepdim=True) / plane.sum((-2, -1), keepdim=True).clamp(min=1)
    patches = patchify(whole, patch)
    source = nearest_seen(seen, grid).unsqueeze(-1).expand(patches.shape)
    pictures = {
        "mean": torch.zeros_like(whole),
        "visible": mean.expand_as(whole),
        "nearest": unpatchify(patches.gather(1, source), grid, patch),
        "inpainted": inpaint(whole, plane.squeeze(1) > 0),
    }
    return {name: picture[..., :h, :w] for name, picture in pictures.items()}
