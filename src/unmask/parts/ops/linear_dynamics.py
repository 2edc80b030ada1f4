"""How deep linear networks learn one feature, exactly: the equation of its weight, where it ends, and when.

A chain of `layers` equal weights w and a linear predictor, also w, learns by gradient flow at rate 1 from a small
balanced start. target: "latent" predicts what the chain itself says of the partner, without gradient there; "data"
predicts the partner. covariance: of the feature in both vectors; coefficient: of the regression of one on the other.
Source: Littwin et al. 2024, "How JEPA Avoids Noisy Features"; the times are worked out here.
"""

from math import log

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.core import check_choice

TARGETS = ("latent", "data")
NODES = 400  # of the quadrature, in the logarithm of the weight

Rows = Float[Tensor, "..."]


def weight_rate(weight: Rows, covariance: Rows, coefficient: Rows, layers: int, target: str) -> Rows:
    """dw/dt: covariance w^2L (1 - w / coefficient), or covariance w^L (1 - w^(L+1) / coefficient)."""
    if target == "latent":
        return covariance * weight ** (2 * layers) * (1 - weight / coefficient)
    return covariance * weight**layers * (1 - weight ** (layers + 1) / coefficient)


def final_weight(coefficient: Rows, layers: int, target: str) -> Rows:
    """The weight at which learning ends; the whole chain is its power of `layers`."""
    check_choice("target", target, TARGETS)
    return coefficient if target == "latent" else coefficient ** (1 / (layers + 1))


def learning_time(
    covariance: float, coefficient: float, layers: int, target: str, start: float, share: float = 0.5
) -> float:
    """Time from the weight `start` to `share` of the final one. Exact for "latent", by quadrature for "data".

    Raises ValueError where the start is not below what is to be reached.
    """
    check_choice("target", target, TARGETS)
    end = share * float(final_weight(torch.tensor(coefficient, dtype=torch.float64), layers, target))
    if not 0 < start < end or not 0 < share < 1:
        raise ValueError(f"a weight of {start:g} does not grow to {share:g} of its end, {end:g}; start smaller")
    return (
        latent_time(covariance, coefficient, layers, start, share)
        if target == "latent"
        else quadrature(covariance, coefficient, layers, target, start, end)
    )


def latent_time(covariance: float, coefficient: float, layers: int, start: float, share: float) -> float:
    """The integral of dw / (covariance w^2L (1 - w / coefficient)) in closed form, by partial fractions."""
    last, end = 2 * layers - 1, share * coefficient
    powers = sum((start**-n - end**-n) / (n * coefficient ** (last - n)) for n in range(1, last + 1))
    logarithms = log(end / start) + log((1 - start / coefficient) / (1 - share))
    return (powers + coefficient**-last * logarithms) / covariance


def quadrature(covariance: float, coefficient: float, layers: int, target: str, start: float, end: float) -> float:
    """The time from one weight to another by Simpson's rule, for either target."""
    place = torch.linspace(log(start), log(end), 2 * NODES + 1, dtype=torch.float64)
    weight = place.exp()
    rate = weight_rate(weight, torch.tensor(covariance), torch.tensor(coefficient), layers, target)
    rule = torch.ones_like(place)
    rule[1:-1:2], rule[2:-1:2] = 4, 2
    return float((rule * weight / rate).sum() * (place[1] - place[0]) / 3)


def evolve(
    covariance: Float[Tensor, "d"],
    coefficient: Float[Tensor, "d"],
    layers: int,
    target: str,
    start: float,
    times: Float[Tensor, "t"],
    steps: int = 20,
) -> Float[Tensor, "t d"]:
    """The weight of every feature at these times, from `start` at time 0, by the classical Runge-Kutta rule.

    steps: between two times.
    """
    weight = torch.full_like(covariance, start, dtype=torch.float64)
    now, found = 0.0, []

    def slope(w: Rows) -> Rows:
        return weight_rate(w, covariance.double(), coefficient.double(), layers, target)

    for time in times.tolist():
        width = (time - now) / steps
        for _ in range(steps if width > 0 else 0):
            first = slope(weight)
            second = slope(weight + width / 2 * first)
            third = slope(weight + width / 2 * second)
            weight = weight + width / 6 * (first + 2 * second + 2 * third + slope(weight + width * third))
        now = time
        found.append(weight)
    return torch.stack(found)
