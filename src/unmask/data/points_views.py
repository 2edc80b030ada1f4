"""What the network gets of a cloud: so many of its points, centred and scaled into the unit sphere."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unmask.data.cache import SampleCache
from unmask.data.cloud import Cloud
from unmask.data.points_card import PointsCard
from unmask.data.values import PlainView

STRETCH = (2 / 3, 3 / 2)  # of every axis, in training
SHIFT = 0.2  # the most, along every axis, in training


def drawn(count: int, wanted: int, generator: torch.Generator) -> Int64[Tensor, "m"]:
    """Places of so many points of a cloud, each as often as the others, give or take one."""
    rounds = -(-wanted // count)
    return torch.cat([torch.randperm(count, generator=generator) for _ in range(rounds)])[:wanted]


def unit_sphere(points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """The points with their mean at the origin and the farthest from it at 1; points at one place stay there."""
    centred = points - points.mean(0)
    return centred / centred.norm(dim=-1).max().clamp(min=torch.finfo(points.dtype).tiny)


class PointsView(PlainView):
    """`points` points of a cloud, repeated where it has fewer.

    moved: in training every axis is stretched by a factor and shifted, both drawn.
    Source: Pang et al. 2022 (Point-MAE), PointcloudScaleAndTranslate of the released code.
    """

    def __init__(self, points: int, moved: bool = True):
        self.points, self.moved = points, moved

    def __call__(self, cloud: Cloud, card: PointsCard, target: None = None) -> dict[str, Tensor]:
        """The same points every time."""
        return {"points": self._chosen(cloud, torch.Generator().manual_seed(0))}

    def draw(self, cloud: Cloud, card: PointsCard, generator: torch.Generator) -> dict[str, Tensor]:
        points = self._chosen(cloud, generator)
        if self.moved:
            noise = torch.rand(2, 3, generator=generator)
            low, high = STRETCH
            points = points * (low + (high - low) * noise[0]) + SHIFT * (2 * noise[1] - 1)
        return {"points": points}

    def reader(self, card: PointsCard, count: int, cache_bytes: int, workers: int) -> SampleCache:
        return SampleCache(cache_bytes // max(workers, 1))

    def _chosen(self, cloud: Cloud, generator: torch.Generator) -> Float[Tensor, "n 3"]:
        places = drawn(len(cloud.points), self.points, generator)
        return unit_sphere(torch.from_numpy(cloud.points[places.numpy()])).float()

    def sentences(self, card: PointsCard) -> list[str]:
        """What training does with the clouds of this card."""
        lines = [
            f"{self.points:,} points of every cloud, drawn anew each time, centred and scaled into the unit sphere"
        ]
        if self.moved:
            lines.append(f"every axis stretched by {STRETCH[0]:.2f} to {STRETCH[1]:.2f} and shifted by up to {SHIFT}")
        if card.points[0] < self.points:
            lines.append(f"clouds with fewer points (the smallest has {card.points[0]:,}) show some of them repeatedly")
        if card.lost:
            lines.append("points that are not numbers are left out")
        return lines
