"""Between standardised pixels and the whole numbers that they were."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn


class Levels(nn.Module):
    """Pixels were standardised by `mean` and `std`, one for every channel or one for all."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: float | tuple[float, ...] = 0.0, std: float | tuple[float, ...] = 1.0):
        super().__init__()
        for name, value in (("mean", mean), ("std", std)):
            values = torch.tensor(value if isinstance(value, tuple) else (value,), dtype=torch.float32)
            self.register_buffer(name, values.view(-1, 1, 1), persistent=False)

    def values(self, image: Float[Tensor, "b c h w"], count: int) -> Int64[Tensor, "b c h w"]:
        """Whole numbers from 0 below `count`."""
        return (image.float() * self.std + self.mean).round().long().clamp(0, count - 1)

    def standardised(self, values: Int64[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return (values.float() - self.mean) / self.std
