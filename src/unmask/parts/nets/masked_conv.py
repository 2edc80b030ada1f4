"""Convolutional layers that compute at some positions only: what is hidden or padding is 0 everywhere, always.

Every layer takes the map of active positions as an argument. Without a map all positions are active and the layer is
torch's own, under the same names in the state dict: a network made of these is sparse and dense at once.
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn


class Active:
    """Where a network computes, at every resolution that it passes through, on pictures or volumes.

    pixels: True where a pixel may be used. At a coarser resolution a position is active if any of its pixels is.
    cell: side of the squares that are hidden or seen as a whole, if positions that are larger are to be active wherever
    anything is real. real: where that is; None: everywhere.
    """

    def __init__(
        self, pixels: Bool[Tensor, "b *grid"], cell: int | None = None, real: Bool[Tensor, "b *grid"] | None = None
    ):
        self.pixels, self.cell, self.real = pixels, cell, real
        self._maps: dict[tuple[int, ...], Tensor] = {}
        self._rows: dict[tuple[int, ...], Tensor] = {}

    def at(self, x: Float[Tensor, "b d *grid"]) -> Bool[Tensor, "b 1 *grid"]:
        """The map at the resolution of x. Raises ValueError where positions are not whole squares of pixels."""
        size = tuple(x.shape[2:])
        if size not in self._maps:
            whole = tuple(self.pixels.shape[1:])
            side = whole[0] // size[0]
            if tuple(length * side for length in size) != whole:
                words = ["x".join(map(str, lengths)) for lengths in (size, whole)]
                raise ValueError(f"{words[0]} positions do not divide {words[1]} pixels into equal squares")
            pixels = self.pixels
            if self.cell is not None and side > self.cell:
                pixels = torch.ones_like(pixels) if self.real is None else self.real
            pool = F.max_pool2d if len(size) == 2 else F.max_pool3d
            self._maps[size] = pool(pixels.unsqueeze(1).float(), side).bool()
        return self._maps[size]

    def rows(self, x: Float[Tensor, "b d *grid"]) -> Int64[Tensor, "n"]:
        """The active positions at the resolution of x, counted over the whole batch."""
        size = tuple(x.shape[2:])
        if size not in self._rows:
            self._rows[size] = self.at(x).flatten().nonzero().squeeze(-1)
        return self._rows[size]


def only_active(x: Float[Tensor, "b d *grid"], active: Active | None) -> Float[Tensor, "b d *grid"]:
    """0 where nothing is active, whatever was there."""
    return x if active is None else x.masked_fill(~active.at(x), 0.0)


def active_rows(x: Float[Tensor, "b d *grid"], active: Active | None) -> Float[Tensor, "n d"]:
    """One row per active position."""
    rows = x.movedim(1, -1).reshape(-1, x.shape[1])
    return rows if active is None else rows.index_select(0, active.rows(x))


def from_rows(
    rows: Float[Tensor, "n k"], like: Float[Tensor, "b d *grid"], active: Active | None
) -> Float[Tensor, "b k *grid"]:
    """The rows back at their positions in a map of the size of `like`, 0 elsewhere."""
    b, _, *grid = like.shape
    if active is not None:
        rows = rows.new_zeros(b * math.prod(grid), rows.shape[1]).index_copy(0, active.rows(like), rows)
    return rows.reshape(b, *grid, -1).movedim(-1, 1)


def active_mean(
    x: Float[Tensor, "b d *grid"], active: Active | None, size: tuple[int, ...] | None = None
) -> Float[Tensor, "b d *cells"]:
    """The mean over the active positions of every window of `size`, or of the whole map; 0 where there are none."""
    size = size or tuple(x.shape[2:])
    pool = F.avg_pool2d if len(size) == 2 else F.avg_pool3d
    if active is None:
        return pool(x, size)
    share = pool(active.at(x).to(x.dtype), size)
    return pool(only_active(x, active), size) / share.clamp(min=torch.finfo(x.dtype).tiny)


class _ThenMasked:
    """A layer of torch after which inactive positions are 0 again."""

    def forward(self, x: Float[Tensor, "b d *grid"], active: Active | None = None) -> Float[Tensor, "b k *cells"]:
        return only_active(super().forward(x), active)  # type: ignore[misc]


class MaskedConv2d(_ThenMasked, nn.Conv2d):
    """A convolution after which inactive positions are 0 again."""


class MaskedConv3d(_ThenMasked, nn.Conv3d):
    """A convolution of volumes after which inactive positions are 0 again."""


class MaskedConvTranspose2d(_ThenMasked, nn.ConvTranspose2d):
    """A transposed convolution after which inactive positions are 0 again."""


class MaskedMaxPool2d(_ThenMasked, nn.MaxPool2d):
    """A maximum over windows, in which inactive positions count as 0, after which they are 0 again."""


class MaskedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the active positions of all processes, its running statistics included."""

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "b d h w"], active: Active | None = None
    ) -> Float[Tensor, "b d h w"]:
        if self.training and _several_processes():
            return from_rows(self._over_processes(active_rows(x, active)), x, active)
        if active is None:
            return super().forward(x)
        rows = active_rows(x, active)[..., None, None]
        return from_rows(super().forward(rows)[..., 0, 0], x, active)

    def _over_processes(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        from torch.distributed.nn.functional import all_reduce  # has gradients, and is not in every build of torch

        total = all_reduce(torch.cat([rows.float().sum(0), rows.new_tensor([len(rows)], dtype=torch.float32)]))
        mean, count = total[:-1] / total[-1], total[-1].detach()
        square = all_reduce((rows.float() - mean).square().sum(0))
        with torch.no_grad():
            momentum, running_mean, running_var = cast(tuple, (self.momentum, self.running_mean, self.running_var))
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(square / (count - 1), momentum)
            cast(Tensor, self.num_batches_tracked).add_(1)
        scale = (square / count + self.eps).rsqrt() * self.weight
        return ((rows.float() - mean) * scale + self.bias).to(rows.dtype)


class MaskedLayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of every active position."""

    def __init__(self, width: int, eps: float = 1e-6):  # the epsilon of convolutional networks, torch's is 1e-5
        super().__init__(width, eps=eps)

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "b d h w"], active: Active | None = None
    ) -> Float[Tensor, "b d h w"]:
        return from_rows(super().forward(active_rows(x, active)), x, active)


class MaskedInstanceNorm3d(nn.InstanceNorm3d):
    """Instance norm: every channel of every volume by its mean and variance over the active positions."""

    def __init__(self, width: int, eps: float = 1e-5, affine: bool = True):
        super().__init__(width, eps=eps, affine=affine)

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "b d i j k"], active: Active | None = None
    ) -> Float[Tensor, "b d i j k"]:
        if active is None:
            return super().forward(x)
        where, axes = active.at(x), (2, 3, 4)
        weight = where.float()
        count = weight.sum(axes, keepdim=True).clamp(min=1)
        values = x.float().masked_fill(~where, 0.0)
        centred = (values - values.sum(axes, keepdim=True) / count) * weight
        found = centred * (centred.square().sum(axes, keepdim=True) / count + self.eps).rsqrt()
        if self.affine:
            scale, shift = (p[:, None, None, None] for p in (self.weight, self.bias))
            found = torch.addcmul(shift, found, scale) * weight
        return found.to(x.dtype)


def _several_processes() -> bool:
    distributed = torch.distributed
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
