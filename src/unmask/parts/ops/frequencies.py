"""Pictures as sums of waves: their spectrum with the lowest frequency in the middle, and filters on it."""

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor


def spectrum(image: Float[Tensor, "*b h w"]) -> Complex[Tensor, "*b h w"]:
    """Orthonormal Fourier coefficients; the mean stands at (h // 2, w // 2)."""
    return torch.fft.fftshift(torch.fft.fft2(image.float(), norm="ortho"), dim=(-2, -1))


def disc(height: int, width: int, radius: float, outer: float | None = None) -> Bool[Tensor, "h w"]:
    """True for the frequencies nearer to the mean than `radius`, and for those from `outer` on, if it is given."""
    rows, columns = torch.arange(height) - height // 2, torch.arange(width) - width // 2
    square = rows.square().unsqueeze(-1) + columns.square()
    inside = square < radius**2
    return inside if outer is None else inside | (square >= outer**2)


def filtered(image: Float[Tensor, "b c h w"], kept: Bool[Tensor, "b h w"]) -> Float[Tensor, "b c h w"]:
    """The picture made of the kept frequencies alone."""
    left = spectrum(image) * kept.unsqueeze(1)
    return torch.fft.ifft2(torch.fft.ifftshift(left, dim=(-2, -1)), norm="ortho").real
