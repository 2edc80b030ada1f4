"""Losses between the spectra of pictures."""

from jaxtyping import Bool, Complex, Float
from torch import Tensor

from unmask.parts.losses.masked import masked_mean

EPS = 1e-12  # below the root, so that it has a slope at 0


def spectral_distance(
    prediction: Complex[Tensor, "b c h w"],
    target: Complex[Tensor, "b c h w"],
    counted: Bool[Tensor, "b h w"] | None = None,
    power: float = 1.0,
) -> Float[Tensor, ""]:
    """The distance of Fourier coefficients in the complex plane, averaged over the counted ones of the whole batch.

    Source: Xie et al. 2023 (MFM), equation 5; the focal frequency loss without its weights.
    """
    difference = prediction - target
    distance = (difference.real.square() + difference.imag.square() + EPS).sqrt() ** power
    if counted is None:
        return distance.mean()
    return masked_mean(distance, counted.unsqueeze(1).expand_as(distance))
