"""Regions of a picture that need no labels."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def graph_regions(
    image: Float[Tensor, "c h w"], scale: float = 1000.0, smallest: int = 1000, blur: float = 0.8
) -> Int64[Tensor, "h w"]:
    """A region number from 0 for every pixel: neighbours join while they differ less than their regions do within.

    The edges between all eight neighbours are gone through from the least different to the most. Two regions join
    where the edge is below the largest edge within each plus scale / 255 / pixels; regions of fewer than `smallest`
    pixels are then joined with a neighbour. image: of a range of about 1. blur: deviation in pixels, before.
    Raises ImportError where scikit-image is missing, which finds them.
    Source: Felzenszwalb and Huttenlocher 2004.
    """
    try:
        from skimage.segmentation import felzenszwalb
    except ImportError as error:
        raise ImportError("finding regions needs scikit-image: pip install 'unmask[regions]'") from error
    pixels = image.detach().cpu().double().permute(1, 2, 0).numpy()
    return torch.from_numpy(felzenszwalb(pixels, scale, blur, smallest, channel_axis=-1)).long()
