"""Equations that give pairs of vectors, one feature a coordinate, and what they make of covariances exactly.

A feature has the covariance of both vectors and a regression coefficient of the second on the first. Noise raises the
variance of a feature and lowers its coefficient.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

Pair = tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]


@dataclass(frozen=True)
class Moments:
    """Second moments of every feature: of the first vector, of both together, of the second."""

    first: tuple[float, ...]
    both: tuple[float, ...]
    second: tuple[float, ...]

    @property
    def coefficients(self) -> tuple[float, ...]:
        """Of the regression of the second vector on the first; 0 where the first never changes."""
        return tuple(both / first if first else 0.0 for both, first in zip(self.both, self.first, strict=True))


@runtime_checkable
class Equations(Protocol):
    """How pairs come about."""

    def moments(self) -> Moments: ...

    def draw(self, count: int, generator: torch.Generator) -> Pair: ...


class Static:
    """Two vectors with the same signal and noise of their own.

    signal, noise: variances of every feature.
    Source: Littwin et al. 2024, "How JEPA Avoids Noisy Features", the static model.
    """

    def __init__(self, signal: tuple[float, ...] = (1.0, 1.5), noise: tuple[float, ...] = (0.05, 4.5)):
        check_features(signal=signal, noise=noise)
        check_least(0.0, signal=signal, noise=noise)
        self.signal, self.noise = signal, noise

    def moments(self) -> Moments:
        variance = tuple(s + n for s, n in zip(self.signal, self.noise, strict=True))
        return Moments(variance, self.signal, variance)

    def draw(self, count: int, generator: torch.Generator) -> Pair:
        shared = normal(count, self.signal, generator)
        return shared + normal(count, self.noise, generator), shared + normal(count, self.noise, generator)


class Dynamic:
    """Two moments of a linear dynamical system, seen through noise.

    correlation: of a feature with itself one moment later, between 0 and 1. signal, noise: variances of every feature.
    Source: as `Static`, the dynamic model.
    """

    def __init__(
        self,
        correlation: tuple[float, ...] = (0.95, 0.5),
        signal: tuple[float, ...] = (1.0, 3.0),
        noise: tuple[float, ...] = (0.0, 0.0),
    ):
        check_features(correlation=correlation, signal=signal, noise=noise)
        check_least(0.0, correlation=correlation, signal=signal, noise=noise)
        if max(correlation) > 1:
            raise ValueError(f"correlation {max(correlation)} is above 1; a feature cannot agree more than with itself")
        self.correlation, self.signal, self.noise = correlation, signal, noise

    def moments(self) -> Moments:
        variance = tuple(s + n for s, n in zip(self.signal, self.noise, strict=True))
        both = tuple(c * s for c, s in zip(self.correlation, self.signal, strict=True))
        return Moments(variance, both, variance)

    def draw(self, count: int, generator: torch.Generator) -> Pair:
        now = normal(count, self.signal, generator)
        kept = torch.tensor(self.correlation)
        new = normal(
            count, tuple(s * (1 - c * c) for c, s in zip(self.correlation, self.signal, strict=True)), generator
        )
        later = kept * now + new
        return now + normal(count, self.noise, generator), later + normal(count, self.noise, generator)


class Given:
    """Vectors with these covariances and regression coefficients; `residual` is what the first does not tell."""

    def __init__(
        self,
        covariance: tuple[float, ...] = (1.0, 1.0),
        coefficient: tuple[float, ...] = (1.0, 0.5),
        residual: float = 0.0,
    ):
        check_features(covariance=covariance, coefficient=coefficient)
        check_least(1e-6, covariance=covariance, coefficient=coefficient)
        check_least(0.0, residual=(residual,))
        self.covariance, self.coefficient, self.residual = covariance, coefficient, float(residual)

    def moments(self) -> Moments:
        pairs = list(zip(self.covariance, self.coefficient, strict=True))
        return Moments(
            tuple(both / c for both, c in pairs), self.covariance, tuple(both * c + self.residual for both, c in pairs)
        )

    def draw(self, count: int, generator: torch.Generator) -> Pair:
        first = normal(count, self.moments().first, generator)
        rest = normal(count, (self.residual,) * len(self.covariance), generator)
        return first, first * torch.tensor(self.coefficient) + rest


def normal(count: int, variances: tuple[float, ...], generator: torch.Generator) -> Float[Tensor, "n d"]:
    """Normal numbers with these variances, one column each."""
    return torch.randn(count, len(variances), generator=generator) * torch.tensor([sqrt(v) for v in variances])


def check_features(**values: tuple[float, ...]) -> None:
    """Raises ValueError where the arguments are not of equally many features."""
    (first, numbers), *others = values.items()
    for name, found in others:
        if len(found) != len(numbers):
            raise ValueError(f"{first} has {len(numbers)} features and {name} {len(found)}; give one number a feature")


def check_least(least: float, **values: tuple[float, ...]) -> None:
    """Raises ValueError for a number below `least`."""
    for name, numbers in values.items():
        if min(numbers) < least:
            raise ValueError(f"{name} {min(numbers)} is below {least:g}")
