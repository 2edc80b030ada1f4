"""From hidden to seen, a step at a time: which values are drawn, and at which times."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unmask.core import check_choice

GRIDS = ("cosine", "uniform")


class Ancestral:
    """Reveals what is hidden in that many steps, a few places at each.

    grid: "cosine" has short steps late, when little is hidden, "uniform" equal ones. top: values are drawn among the
    fewest that are together that likely. Source: Shi et al. 2024 (MD4), algorithm 2 and the released code.
    """

    def __init__(self, steps: int = 256, grid: str = "cosine", top: float = 1.0):
        check_choice("grid", grid, GRIDS)
        if steps < 1 or not 0 < top <= 1:
            raise ValueError(f"sampling_steps {steps} must be positive, sampling_top {top} in (0, 1]")
        self.steps, self.grid, self.top = steps, grid, top

    def __call__(
        self,
        z: Int64[Tensor, "b *n"],
        logits: Callable[[Tensor, float], Tensor],
        between: Callable[[float, float], Tensor],
        generator: torch.Generator | None = None,
    ) -> Int64[Tensor, "b *n"]:
        """Data with nothing hidden. logits(z, t); between(t, s): what becomes visible from t to s, of all hidden."""
        for t, s in pairwise(time_grid(self.steps, self.grid)):
            noise = torch.rand(z.shape, generator=generator).to(z.device)
            z = revealed(z, self.likely(logits(z, t)), between(t, s).to(z.device), noise)
        found = logits(z, 0.0)
        return torch.where(z == found.shape[-1], found.argmax(-1), z)

    def likely(self, logits: Float[Tensor, "b *n v"]) -> Float[Tensor, "b *n v"]:
        return (logits if self.top == 1 else nucleus(logits, self.top)).softmax(-1)


def time_grid(steps: int, kind: str = "cosine") -> list[float]:
    """Times from 1 down to 0, `steps` + 1 of them."""
    check_choice("grid", kind, GRIDS)
    even = [1 - i / steps for i in range(steps + 1)]
    return even if kind == "uniform" else [math.cos(math.pi / 2 * (1 - t)) for t in even]


def antithetic_times(start: Float[Tensor, ""], first: int, count: int, total: int) -> Float[Tensor, "b"]:
    """(start + i / total) mod 1 for the rows from `first` on: a batch spread evenly over [0, 1)."""
    return (start + (first + torch.arange(count, dtype=torch.float64)).to(start) / total) % 1


def drawn(probabilities: Float[Tensor, "*b v"], noise: Float[Tensor, "*b"]) -> Int64[Tensor, "*b"]:
    """The value at which the running sum passes the noise; one more than the last where it never does."""
    return (probabilities.cumsum(-1) <= noise.unsqueeze(-1)).sum(-1)


def revealed(
    z: Int64[Tensor, "*b"],
    likely: Float[Tensor, "*b v"],
    share: Float[Tensor, ""] | Float[Tensor, "v"],
    noise: Float[Tensor, "*b"],
) -> Int64[Tensor, "*b"]:
    """One step: a hidden place takes value v with the probability share_v likely_v, and else stays hidden.

    Hidden places hold the number behind the last value. Source: Shi et al. 2024 (MD4), algorithm 2.
    """
    hidden = z == likely.shape[-1]
    return torch.where(hidden, drawn(share * likely, noise), z)


def nucleus(logits: Float[Tensor, "*b v"], top: float) -> Float[Tensor, "*b v"]:
    """The logits of the fewest values that together are at least that likely; all others become -inf."""
    likely, order = logits.softmax(-1).sort(-1, descending=True)
    before = likely.cumsum(-1) - likely
    kept = torch.zeros_like(likely, dtype=torch.bool).scatter(-1, order, before < top)
    return logits.masked_fill(~kept, -torch.inf)
