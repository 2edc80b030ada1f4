"""Time series: normalised by their own statistics and cut into patches."""

from jaxtyping import Float
from torch import Tensor

EPS = 1e-5  # added to the variance of a window, as RevIN does


def instance_statistics(series: Float[Tensor, "b t c"]) -> tuple[Float[Tensor, "b 1 c"], Float[Tensor, "b 1 c"]]:
    """Mean and deviation of every channel of every window, without gradient.

    Source: Kim et al. 2022 (RevIN), without its affine parameters: (x - mean) / deviation, and back after the network.
    """
    series = series.detach().float()
    return series.mean(1, keepdim=True), (series.var(1, unbiased=False, keepdim=True) + EPS).sqrt()


def normalised(series: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
    """Every channel of every window with mean 0 and deviation 1."""
    mean, deviation = instance_statistics(series)
    return (series - mean) / deviation


def series_patches(series: Float[Tensor, "b t c"], size: int, stride: int) -> Float[Tensor, "b c n p"]:
    """Patches of every channel, counted from the end: rows at the start that fill no patch are dropped.

    Source: Nie et al. 2023 (PatchTST), create_patch of the released code.
    """
    first = (series.shape[1] - size) % stride
    return series[:, first:].unfold(1, size, stride).transpose(1, 2)


def joined_patches(patches: Float[Tensor, "b c n p"], stride: int, length: int) -> Float[Tensor, "b t c"]:
    """Patches put back in their places; the mean where they overlap, 0 where none lies."""
    b, c, n, p = patches.shape
    first = length - p - stride * (n - 1)
    total, count = patches.new_zeros(b, c, length), patches.new_zeros(length)
    for place in range(n):
        rows = slice(first + place * stride, first + place * stride + p)
        total[..., rows] += patches[:, :, place]
        count[rows] += 1
    return (total / count.clamp(min=1)).transpose(1, 2)
