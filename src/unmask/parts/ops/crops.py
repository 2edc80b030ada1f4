"""Random resized crops of tensors."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

ASPECT = 4 / 3  # the largest width / height of a crop, and the inverse of the smallest


def random_boxes(noise: Float[Tensor, "b 4"], least: float, most: float) -> Float[Tensor, "b 4"]:
    """Top, left, height and width of a crop, in fractions of the picture.

    noise: area, aspect, top, left. The area is between `least` and `most` of the picture, width / height between 3/4
    and 4/3, and no side longer than the picture's.
    """
    area, aspect, top, left = noise.unbind(-1)
    area, aspect = least + (most - least) * area, ((2 * aspect - 1) * math.log(ASPECT)).exp()
    height, width = (area / aspect).sqrt().clamp(max=1), (area * aspect).sqrt().clamp(max=1)
    return torch.stack([top * (1 - height), left * (1 - width), height, width], dim=-1)


def crop(
    image: Float[Tensor, "b c h w"], boxes: Float[Tensor, "b 4"], size: tuple[int, int], mode: str = "bilinear"
) -> Float[Tensor, "b c H W"]:
    """What lies in each box, resized; a negative width reads from right to left."""
    top, left, height, width = boxes.unbind(-1)
    rows, columns = ((torch.arange(n, device=image.device) + 0.5) / n for n in size)
    y, x = top[:, None] + rows * height[:, None], left[:, None] + columns * width[:, None]
    grid = torch.stack([x[:, None, :].expand(-1, size[0], -1), y[:, :, None].expand(-1, -1, size[1])], -1) * 2 - 1
    return F.grid_sample(image, grid.to(image.dtype), mode=mode, padding_mode="border", align_corners=False)


def mirrored(boxes: Float[Tensor, "b 4"], chance: Float[Tensor, "b"]) -> Float[Tensor, "b 4"]:
    """The boxes, read from right to left where the chance is below one half."""
    top, left, height, width = boxes.unbind(-1)
    flip = chance < 0.5
    return torch.stack([top, torch.where(flip, left + width, left), height, torch.where(flip, -width, width)], dim=-1)
