"""Points in space: farthest point sampling, nearest neighbours, and the patches around chosen points."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

CENTRE = 1e-3  # squared distance from the origin up to which some released samplers leave points out


class Groups(NamedTuple):
    """Patches of a cloud: their centres, and the points nearest to each, relative to it, nearest first."""

    centres: Float[Tensor, "b n 3"]
    patches: Float[Tensor, "b n k 3"]


@torch.no_grad()
def farthest_points(points: Float[Tensor, "b n 3"], count: int, skip_centre: bool = False) -> Int64[Tensor, "b m"]:
    """Places of points, each as far as can be from all before it; the first point is the first of the cloud.

    skip_centre: points near the origin are never chosen but as the first, as in pointnet2_ops' CUDA kernel.
    Source: Eldar et al. 1997; Qi et al. 2017 (PointNet++).
    """
    b, n, _ = points.shape
    if not 1 <= count <= n:
        raise ValueError(f"{count} of {n} points cannot be chosen; give clouds of more points or ask for fewer")
    axes = points.permute(2, 0, 1).contiguous()
    nearest = torch.full((b, n), torch.inf, dtype=points.dtype, device=points.device)
    if skip_centre:
        nearest.masked_fill_(axes.square().sum(0) <= CENTRE, -1.0)
    chosen = torch.zeros(b, count, dtype=torch.long, device=points.device)
    for i in range(1, count):
        last = axes.gather(-1, chosen[None, :, i - 1, None].expand(3, b, 1))
        torch.minimum(nearest, (axes - last).square_().sum(0), out=nearest)
        chosen[:, i] = nearest.argmax(-1)
    return chosen


@torch.no_grad()
def nearest_points(
    points: Float[Tensor, "b n 3"], centres: Float[Tensor, "b m 3"], count: int
) -> Int64[Tensor, "b m k"]:
    """Places of the `count` points that are nearest to every centre, nearest first."""
    if not 1 <= count <= points.shape[1]:
        raise ValueError(f"{count} neighbours are not among {points.shape[1]} points; give larger clouds or ask fewer")
    exact = "donot_use_mm_for_euclid_dist"  # products of large coordinates would lose small distances
    distance = torch.cdist(centres, points, compute_mode=exact)
    return distance.topk(count, dim=-1, largest=False, sorted=True).indices


def points_at(points: Float[Tensor, "b n 3"], places: Int64[Tensor, "b *m"]) -> Float[Tensor, "b *m 3"]:
    """The points at these places of every cloud."""
    flat = places.flatten(1).unsqueeze(-1).expand(-1, -1, points.shape[-1])
    return points.gather(1, flat).reshape(*places.shape, points.shape[-1])


def grouped(points: Float[Tensor, "b n 3"], groups: int, size: int, skip_centre: bool = False) -> Groups:
    """Patches of `size` points around `groups` farthest points. Patches may share points."""
    centres = points_at(points, farthest_points(points, groups, skip_centre))
    patches = points_at(points, nearest_points(points, centres, size))
    return Groups(centres, patches - centres.unsqueeze(2))


def joined(groups: Groups) -> Float[Tensor, "b m 3"]:
    """The points of all patches where they lie; those that patches share come several times."""
    return (groups.patches + groups.centres.unsqueeze(2)).flatten(1, 2)
