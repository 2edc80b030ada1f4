"""Context: what a step knows of the training around it."""

from collections.abc import Sequence
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

    def ragged(
        self, counts: Sequence[int], *shape: int, device: torch.device | str = "cpu"
    ) -> Float[Tensor, "n *shape"]:
        """Noise in [0, 1) for samples of different sizes: `counts[i]` rows for the i-th, one sample after the other.

        The noise of a sample depends neither on the sizes of the others nor on how they are padded.
        """
        seeds = self._rows(
            lambda n, generator: torch.randint(1 << 62, (n,), generator=generator), (len(counts),), "cpu"
        )
        own = torch.Generator()
        drawn = [
            torch.rand(count, *shape, generator=own.manual_seed(seed))
            for count, seed in zip(counts, seeds.tolist(), strict=True)
        ]
        return (torch.cat(drawn) if drawn else torch.zeros(0, *shape)).to(device)

    def _rows(self, draw, shape: tuple[int, ...], device) -> Tensor:
        total = shape[0] if self.total is None else self.total
        noise = draw(total, *shape[1:], generator=self.generator)
        return noise[self.first : self.first + shape[0]].to(device)
