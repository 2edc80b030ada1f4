"""Context: what a step knows of the training around it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Context:
    """Handed to every step. Schedules read `progress`; randomness comes from `generator`.

    progress: share of the training that is done, 0 to 1.
    first, total: this batch is rows first, first + 1, ... of the step's whole batch of `total` samples, which
        may be divided over processes and accumulation. `uniform` and `normal` draw for the whole batch and
        return the rows of this one, so that the noise of a sample does not depend on how the batch is divided.
    """

    progress: float = 0.0
    step: int = 0
    epoch: float = 0.0
    phase: str = "main"
    generator: torch.Generator | None = None
    first: int = 0
    total: int | None = None

    def uniform(self, *shape: int, device: torch.device | str = "cpu") -> Float[Tensor, "..."]:
        """Noise in [0, 1), one row per sample of the batch."""
        return self._rows(torch.rand, shape, device)

    def normal(self, *shape: int, device: torch.device | str = "cpu") -> Float[Tensor, "..."]:
        """Standard normal noise, one row per sample of the batch."""
        return self._rows(torch.randn, shape, device)

    def _rows(self, draw, shape: tuple[int, ...], device) -> Tensor:
        total = shape[0] if self.total is None else self.total
        noise = draw(total, *shape[1:], generator=self.generator)
        return noise[self.first : self.first + shape[0]].to(device)
