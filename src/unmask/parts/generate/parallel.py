"""Decoding many places at once: all are guessed, those least sure of are hidden again, fewer at every step."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from unmask.core import check_choice
from unmask.parts.ops.mask_schedule import check_schedule, masking_rate

ORDERS = ("confidence", "raster")

Logits = Callable[[Int64[Tensor, "b n"]], Float[Tensor, "b n k"]]
Noise = Callable[[tuple[int, ...]], Float[Tensor, "..."]]


def hidden_counts(
    unknown: Int64[Tensor, "b"], left: Int64[Tensor, "b"], moment: float, schedule: str
) -> Int64[Tensor, "b"]:
    """How many places to hide again: the schedule's share of those unknown at first, fewer than now, and at least one.

    Source: Chang et al. 2022, parallel_decode.py of the released code.
    """
    total = unknown.float()
    wanted = (total * masking_rate(torch.full_like(total, moment), total, schedule)).floor().long()
    return torch.minimum(wanted, left - 1).clamp(min=1)


def least_confident(confidence: Float[Tensor, "b n"], count: Int64[Tensor, "b"]) -> Bool[Tensor, "b n"]:
    """The `count` places of lowest confidence in every row; of equal ones the first."""
    rank = confidence.argsort(dim=-1, stable=True).argsort(dim=-1)
    return rank < count.unsqueeze(-1)


def decoded(
    logits_of: Logits,
    ids: Int64[Tensor, "b n"],
    blank: int,
    noise: Noise,
    steps: int = 12,
    temperature: float = 4.5,
    schedule: str = "cosine",
    first: int = 0,
) -> list[Int64[Tensor, "b n"]]:
    """The guesses of every step; the last are the answer. Known ids never change.

    ids: `blank` where unknown. noise: standard Gumbel numbers of a shape, drawn twice a step: for the ids, and for the
    choice of what is hidden again, where it weighs temperature * (1 - moment). first: the step to begin with, when
    some ids are known.
    """
    found, unknown = [], (ids == blank).sum(-1)
    for step in range(first, steps):
        moment, hidden = (step + 1) / steps, ids == blank
        logits = logits_of(ids)
        guess = torch.where(hidden, (logits + noise(tuple(logits.shape))).argmax(-1), ids)
        found.append(guess)
        sure = logits.log_softmax(-1).gather(-1, guess.clamp(max=logits.shape[-1] - 1).unsqueeze(-1)).squeeze(-1)
        sure = sure + temperature * (1 - moment) * noise(tuple(sure.shape))
        again = least_confident(
            sure.masked_fill(~hidden, torch.inf), hidden_counts(unknown, hidden.sum(-1), moment, schedule)
        )
        ids = guess.masked_fill(again & hidden, blank)
    return found


def one_by_one(logits_of: Logits, ids: Int64[Tensor, "b n"], blank: int, noise: Noise) -> Int64[Tensor, "b n"]:
    """The unknown places filled in one after the other, each with one call of the network."""
    for place in range(ids.shape[-1]):
        logits = logits_of(ids)[:, place]
        guess = (logits + noise(tuple(logits.shape))).argmax(-1)
        ids = ids.clone()
        ids[:, place] = torch.where(ids[:, place] == blank, guess, ids[:, place])
    return ids


class ParallelDecoding:
    """steps: of the decoding. temperature: of the choice of places, at first. schedule: as for the masks.

    order: "confidence", or "raster", one place after the other, by a network that sees only what is before.
    """

    def __init__(self, steps: int = 12, temperature: float = 4.5, schedule: str = "cosine", order: str = "confidence"):
        check_schedule(schedule)
        check_choice("order", order, ORDERS)
        if steps < 1 or temperature < 0:
            raise ValueError(f"steps {steps} must be at least 1, temperature {temperature} not negative")
        self.steps, self.temperature, self.schedule, self.order = steps, temperature, schedule, order

    def __call__(
        self,
        logits_of: Logits,
        ids: Int64[Tensor, "b n"],
        blank: int,
        generator: torch.Generator | None = None,
        first: int = 0,
    ) -> Int64[Tensor, "b n"]:
        """The ids with all that were `blank` filled in."""

        def noise(shape: tuple[int, ...]) -> Tensor:
            return gumbel(torch.rand(shape, generator=generator)).to(ids.device)

        if self.order == "raster":
            return one_by_one(logits_of, ids, blank, noise)
        first = min(first, self.steps - 1)
        return decoded(logits_of, ids, blank, noise, self.steps, self.temperature, self.schedule, first)[-1]


def gumbel(noise: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """Standard Gumbel numbers from uniform noise."""
    tiny = torch.finfo(noise.dtype).tiny
    return -(-noise.clamp(min=tiny).log()).clamp(min=tiny).log()
