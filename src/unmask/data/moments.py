"""Moments: mean, spread and range per channel, summed up picture by picture."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from unmask.data.picture import Picture


@dataclass
class Moments:
    """Running count, mean and squared deviation per channel; exact for any number of values.

    Source: Chan, Golub, LeVeque 1983, pairwise update of variances.
    """

    channels: int
    pixels: int = 0
    lost: int = 0
    mean: np.ndarray = field(init=False)
    squares: np.ndarray = field(init=False)
    minimum: np.ndarray = field(init=False)
    maximum: np.ndarray = field(init=False)

    def __post_init__(self):
        self.mean, self.squares = np.zeros(self.channels), np.zeros(self.channels)
        self.minimum, self.maximum = np.full(self.channels, np.inf), np.full(self.channels, -np.inf)

    def add(self, picture: Picture) -> None:
        """Counts every pixel that is not missing."""
        keep = slice(None) if picture.missing is None else ~picture.missing.reshape(-1)
        values = np.ascontiguousarray(picture.values.reshape(-1, self.channels).T)[:, keep]
        n = values.shape[1]
        self.lost += picture.values.shape[0] * picture.values.shape[1] - n
        mean = values.mean(axis=1, dtype=np.float64)
        total = self.pixels + n
        own = np.array([_squares(row, centre) for row, centre in zip(values, mean, strict=True)])
        self.squares += own + (mean - self.mean) ** 2 * self.pixels * n / total
        self.mean += (mean - self.mean) * n / total
        self.pixels = total
        self.minimum = np.minimum(self.minimum, values.min(axis=1))
        self.maximum = np.maximum(self.maximum, values.max(axis=1))

    @property
    def std(self) -> Float64[np.ndarray, "c"]:
        """Standard deviation per channel."""
        return np.sqrt(self.squares / max(self.pixels, 1))


def _squares(values: np.ndarray, mean: float) -> float:
    difference = values - mean
    return float(difference @ difference)
