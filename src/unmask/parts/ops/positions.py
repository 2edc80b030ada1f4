"""Fixed sine and cosine positions on a grid of any shape."""

import torch
from jaxtyping import Float
from torch import Tensor

TEMPERATURE = 10000.0  # Vaswani et al. 2017


def sincos(places: Float[Tensor, "n"], width: int) -> Float[Tensor, "n d"]:
    """Sines, then cosines, of the places at `width / 2` geometric frequencies."""
    if width % 2:
        raise ValueError(f"sine-cosine positions need an even width per axis; got {width}")
    frequencies = TEMPERATURE ** -(torch.arange(width // 2, dtype=torch.float64, device=places.device) / (width / 2))
    angles = places.double().unsqueeze(-1) * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def sinusoid(places: Float[Tensor, "n"], width: int) -> Float[Tensor, "n d"]:
    """As `sincos`, sine and cosine of every frequency side by side. Source: Vaswani et al. 2017, section 3.5."""
    return sincos(places, width).unflatten(-1, (2, -1)).transpose(-2, -1).flatten(-2)


def sincos_grid(grid: tuple[int, ...], width: int) -> Float[Tensor, "n d"]:
    """Positions of all places of `grid`, its last axis varying fastest and standing first in the vector.

    The width is shared equally between the axes. Source: He et al. 2022 (MAE), util/pos_embed.py, where the
    column (w) fills the first half of the vector and the row (h) the second.
    """
    if width % (2 * len(grid)):
        raise ValueError(f"width {width} cannot be shared by {len(grid)} axes; use a multiple of {2 * len(grid)}")
    axes = torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in grid), indexing="ij")
    share = width // len(grid)
    return torch.cat([sincos(axis.reshape(-1), share) for axis in reversed(axes)], dim=-1).float()
