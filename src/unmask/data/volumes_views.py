"""What the network gets of a volume: standardised by itself, at one spacing if asked for, cut and filled up."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Int64, Shaped
from torch import Tensor

from unmask.data.cache import SampleCache
from unmask.data.picture import Unreadable
from unmask.data.values import PlainView
from unmask.data.volume import Volume
from unmask.data.volumes_card import VolumesCard

Sides = tuple[int, int, int]


def standardised(volume: Volume) -> dict[str, Tensor]:
    """(value - mean) / std of every channel of this volume over its real voxels, which "volume_valid" tells."""
    values = torch.from_numpy(volume.values)
    real = torch.ones(volume.size, dtype=torch.bool) if volume.missing is None else torch.from_numpy(~volume.missing)
    known = values[:, real].double()
    mean, deviation = (statistic[:, None, None, None] for statistic in (known.mean(1), known.std(1, unbiased=False)))
    found = ((values.double() - mean) / deviation).float()
    return {"volume": found.masked_fill(~real, 0.0), "volume_valid": real}


def resampled(found: dict[str, Tensor], volume: Volume, spacing: float | None) -> dict[str, Tensor]:
    """At this spacing in millimetres along every axis: intensities linearly, the rest by the nearest voxel."""
    if spacing is None or all(abs(length - spacing) < 1e-3 * spacing for length in volume.spacing):
        return found
    size = [max(1, round(n * length / spacing)) for n, length in zip(volume.size, volume.spacing, strict=True)]
    return {name: _resized(x, size, name == "volume") for name, x in found.items()}


def _resized(x: Shaped[Tensor, "*c i j k"], size: list[int], smooth: bool) -> Shaped[Tensor, "*c l m n"]:
    if smooth:
        return F.interpolate(x[None], size, mode="trilinear", align_corners=False)[0]
    whole = F.interpolate(x[None, None].double(), size, mode="nearest-exact")[0, 0]
    return whole.to(x.dtype)


def cut(x: Shaped[Tensor, "*c i j k"], starts: Sides, sides: Sides, fill: float) -> Shaped[Tensor, "*c l m n"]:
    """The box of these sides that begins at `starts`; what lies beyond the end is `fill`."""
    for axis, (start, side) in zip((-3, -2, -1), zip(starts, sides, strict=True), strict=True):
        x = x.narrow(axis, start, min(side, x.shape[axis] - start))
    lost = [side - length for side, length in zip(sides, x.shape[-3:], strict=True)]
    return F.pad(x, [n for length in reversed(lost) for n in (0, length)], value=fill) if any(lost) else x


class VolumeView(PlainView):
    """A box of `sides` voxels: at random and mirrored for training, in the middle for evaluation.

    spacing: millimetres from voxel to voxel that volumes are brought to; None takes them as they are. flip: mirror
    half of the boxes along every axis. "volume_valid" is False where a volume is smaller than the box, or has no
    number.
    """

    def __init__(self, sides: Sides, spacing: float | None = None, flip: bool = True):
        self.sides, self.spacing, self.flip = sides, spacing, flip

    def __call__(
        self, volume: Volume, card: VolumesCard, target: Int64[np.ndarray, "i j k"] | None = None
    ) -> dict[str, Tensor]:
        return self._box(self._whole(volume, card, target), torch.full((3,), 0.5))

    def draw(self, volume: Volume, card: VolumesCard, generator: torch.Generator) -> dict[str, Tensor]:
        noise = torch.rand(6, generator=generator)
        found = self._box(self._whole(volume, card, None), noise[:3])
        axes = [axis for axis, number in zip((-3, -2, -1), noise[3:].tolist(), strict=True) if number < 0.5]
        return {name: x.flip(axes) for name, x in found.items()} if self.flip and axes else found

    def reader(self, card: VolumesCard, count: int, cache_bytes: int, workers: int) -> SampleCache:
        return SampleCache(cache_bytes // max(workers, 1))

    def _whole(self, volume: Volume, card: VolumesCard, target: Int64[np.ndarray, "i j k"] | None) -> dict[str, Tensor]:
        card.check_volume(volume)
        found = standardised(volume)
        if target is not None:
            if target.shape != volume.size:
                raise Unreadable(f"has {volume.size} voxels, its mask {target.shape}")
            found["volume_segmentation"] = torch.from_numpy(target)
        return resampled(found, volume, self.spacing)

    def _box(self, found: dict[str, Tensor], place: Tensor) -> dict[str, Tensor]:
        size = found["volume"].shape[1:]
        room = [max(length - side, 0) for length, side in zip(size, self.sides, strict=True)]
        i, j, k = (min(int(share * (free + 1)), free) for share, free in zip(place.tolist(), room, strict=True))
        fills = {"volume_segmentation": -1}
        return {name: cut(x, (i, j, k), self.sides, fills.get(name, 0)) for name, x in found.items()}

    def sentences(self, card: VolumesCard) -> list[str]:
        """What training does with the volumes of this card."""
        words = "x".join(map(str, self.sides))
        lines = [f"boxes of {words} voxels at random places" + (", mirrored along every axis" if self.flip else "")]
        lines.append("every volume (value - mean) / std by its own statistics")
        if self.spacing is not None:
            lines.append(f"brought to {self.spacing:g} mm from voxel to voxel along every axis")
        if any(low < side for low, side in zip(card.sizes[0], self.sides, strict=True)):
            lines.append("volumes smaller than the box are filled up (not in the loss)")
        if card.missing:
            lines.append("voxels that are not numbers are left out of the loss")
        return lines
