"""Hints: a few hidden places are shown and as many visible ones are hidden instead."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from unmask.core import Mask, check_choice

SOURCES = ("masked", "cluster")
RULES = ("random", "lowest", "highest")


class Hints:
    """How many hints are given over the training, and which hidden places they are.

    start, end: share of the hidden places that is shown when guidance starts and when training ends, linear between.
    source: hints are drawn from all of the "masked" places or from those of the "cluster".
    rule: "random", or the "lowest" or "highest" relevance first.
    """

    def __init__(self, start: float = 0.10, end: float = 0.0, source: str = "masked", rule: str = "random"):
        if not (0 <= start < 1 and 0 <= end < 1):
            raise ValueError(f"hints from {start} to {end} are not shares; choose numbers in [0, 1)")
        check_choice("hint source", source, SOURCES)
        check_choice("hint rule", rule, RULES)
        self.start = start
        self.end = end
        self.source = source
        self.rule = rule

    def ratio(self, progress: float) -> float:
        """The share of hidden places shown when `progress` (0 to 1) of the guided time has passed."""
        return self.start + (self.end - self.start) * min(max(progress, 0.0), 1.0)

    def candidates(self, mask: Mask, side: Bool[Tensor, "b n"]) -> Bool[Tensor, "b n"]:
        """The hidden places that may become hints."""
        return mask.hidden & side if self.source == "cluster" else mask.hidden

    def scores(self, relevance: Float[Tensor, "b n"], noise: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        """Hints are the candidates with the lowest of these numbers."""
        return {"random": noise, "lowest": relevance, "highest": -relevance}[self.rule]


def first_ranked(
    scores: Float[Tensor, "b n"], among: Bool[Tensor, "b n"], count: Int64[Tensor, "b"]
) -> Bool[Tensor, "b n"]:
    """The `count` places with the lowest scores among the given ones."""
    order = scores.masked_fill(~among, torch.inf).argsort(dim=-1, stable=True)
    rank = torch.empty_like(order).scatter_(
        -1, order, torch.arange(scores.shape[-1], device=order.device).expand_as(order)
    )
    return (rank < count.unsqueeze(-1)) & among


def swap_hints(
    mask: Mask,
    candidates: Bool[Tensor, "b n"],
    hint_scores: Float[Tensor, "b n"],
    cover_scores: Float[Tensor, "b n"],
    ratio: float,
    places: Bool[Tensor, "b n"] | None = None,
) -> tuple[Mask, Bool[Tensor, "b n"]]:
    """Shows round(ratio * hidden) candidates and hides as many places that were visible; counts stay exact.

    The hints are the candidates with the lowest `hint_scores`, the new hidden ones the visible places with the
    lowest `cover_scores`. Returns the new mask and the hints.
    """
    seen = ~mask.hidden if places is None else ~mask.hidden & places
    wanted = (mask.hidden.sum(-1) * ratio).round().long()
    count = torch.minimum(torch.minimum(wanted, candidates.sum(-1)), seen.sum(-1))
    hints = first_ranked(hint_scores, candidates, count)
    hidden = (mask.hidden & ~hints) | first_ranked(cover_scores, seen, count)
    lengths = mask.count if mask.lengths is None else mask.lengths
    return Mask.from_scores(hidden.float(), lengths, places), hints
