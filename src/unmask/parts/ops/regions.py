"""Regions of a picture that need no labels."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

REACH = 4.0  # deviations of the blur at which its kernel ends


def graph_regions(
    image: Float[Tensor, "c h w"], scale: float = 1000.0, smallest: int = 1000, blur: float = 0.8
) -> Int64[Tensor, "h w"]:
    """A region number from 0 for every pixel: neighbours join while they differ less than their regions do within.

    The edges between all eight neighbours are gone through from the least different to the most. Two regions join
    where the edge is below the largest edge within each plus scale / 255 / pixels; regions of fewer than `smallest`
    pixels are then joined with a neighbour. image: of a range of about 1. blur: deviation in pixels, before.
    Source: Felzenszwalb and Huttenlocher 2004, in scikit-image's units.
    """
    pixels = image.detach().cpu().double().numpy()
    h, w = pixels.shape[1:]
    pixels = _blurred(_blurred(pixels, blur, 1), blur, 2)
    ends, costs = _edges(pixels)
    order = np.argsort(costs, kind="stable")
    queue = list(zip(*ends[:, order].tolist(), costs[order].tolist(), strict=True))
    parent, size, inner = list(range(h * w)), [1] * (h * w), [0.0] * (h * w)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    factor, left = scale / 255, []
    for a, b, cost in queue:
        one, other = root(a), root(b)
        if one == other:
            continue
        if cost < inner[one] + factor / size[one] and cost < inner[other] + factor / size[other]:
            parent[other] = one
            size[one] += size[other]
            inner[one] = cost
        else:
            left.append((a, b))
    for a, b in left:
        one, other = root(a), root(b)
        if one != other and min(size[one], size[other]) < smallest:
            parent[other] = one
            size[one] += size[other]
    _, labels = np.unique([root(i) for i in range(h * w)], return_inverse=True)
    return torch.from_numpy(labels.reshape(h, w)).long()


def _edges(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of every edge as pixel numbers, and the distance of their colours."""
    h, w = pixels.shape[1:]
    number = np.arange(h * w).reshape(1, h, w)
    pairs = (  # right, down, down to the right, up to the right
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
        ((slice(None, -1), slice(None, -1)), (slice(1, None), slice(1, None))),
        ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))),
    )
    ends, costs = [], []
    for one, other in pairs:
        ends.append(np.stack([number[0][one].ravel(), number[0][other].ravel()]))
        costs.append(np.sqrt(np.square(pixels[:, *one] - pixels[:, *other]).sum(0)).ravel())
    return np.concatenate(ends, 1), np.concatenate(costs)


def _blurred(pixels: np.ndarray, deviation: float, axis: int) -> np.ndarray:
    """Convolved with a Gaussian along an axis, mirrored at the border."""
    reach = int(REACH * deviation + 0.5)
    if reach == 0:
        return pixels
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    wide = np.pad(pixels, [(reach, reach) if i == axis else (0, 0) for i in range(pixels.ndim)], mode="symmetric")
    return sum(
        weight * wide.take(range(i, i + pixels.shape[axis]), axis) for i, weight in enumerate(kernel / kernel.sum())
    )
