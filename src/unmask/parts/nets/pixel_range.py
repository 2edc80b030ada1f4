"""Standardised pixels as shares of their range, and back."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class PixelRange(nn.Module):
    """Turns standardised pictures into numbers between 0 (darkest) and 1 (brightest), and back.

    darkest, brightest: standardised values, one for all channels or one for each; `pretrain` takes them from the data.
    """

    darkest: Tensor
    span: Tensor

    def __init__(self, darkest: float | tuple[float, ...] = -1.0, brightest: float | tuple[float, ...] = 1.0):
        super().__init__()
        self.bounds = (_numbers(darkest), _numbers(brightest))
        if len(self.bounds[0]) != len(self.bounds[1]):
            raise ValueError(f"darkest {darkest} and brightest {brightest} must name the same number of channels")
        if any(low >= high for low, high in zip(*self.bounds, strict=True)):
            raise ValueError(f"darkest {darkest} must lie below brightest {brightest} in every channel")
        low, high = (torch.tensor(values).view(1, -1, 1, 1) for values in self.bounds)
        self.register_buffer("darkest", low, persistent=False)
        self.register_buffer("span", high - low, persistent=False)

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """From 0 to 1; what lies outside the range is cut off."""
        return ((image.float() - self.darkest) / self.span).clamp(0, 1)

    def standardised(self, values: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """From the range 0 to 1 back to standardised pixels."""
        return values.float() * self.span + self.darkest

    def mean(self, channels: int) -> tuple[float, ...]:
        """Where the mean of the data lies between 0 and 1, for every channel."""
        shares = [-low / (high - low) for low, high in zip(*self.bounds, strict=True)]
        return tuple(shares) * (channels if len(shares) == 1 else 1)


def _numbers(value: float | Sequence[float]) -> tuple[float, ...]:
    return (float(value),) if isinstance(value, (int, float)) else tuple(map(float, value))
