"""Mask: the one convention for what is hidden. `True` means hidden, always."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

RULES = ("floor_kept", "floor_hidden", "round")


def keep_count(n: int, ratio: float, rule: str = "floor_kept") -> int:
    """How many of `n` places stay visible when the share `ratio` is hidden.

    Published systems round differently: "floor_kept" is int(n * (1 - ratio)) (MAE), "floor_hidden" is
    n - int(n * ratio), "round" is n - round(n * ratio). At least one place stays visible and one is hidden.
    """
    if not 0.0 < ratio < 1.0:
        raise ValueError(f"mask ratio {ratio} hides nothing or everything; choose a number between 0 and 1")
    if n < 2:
        raise ValueError(f"{n} place(s) cannot be divided into visible and hidden; use smaller patches")
    if rule not in RULES:
        raise ValueError(f"rounding rule {rule!r} is unknown; choose one of {', '.join(RULES)}")
    if rule == "floor_kept":
        kept = int(n * (1 - ratio))
    elif rule == "floor_hidden":
        kept = n - int(n * ratio)
    else:
        kept = n - round(n * ratio)
    return min(max(kept, 1), n - 1)


@dataclass(frozen=True, eq=False)
class Mask:
    """What is hidden, in one convention that every method, sampler and picture shares.

    hidden: True where a place is hidden from the encoder and is to be predicted.
    order: all places, the seen ones first, in the order in which the encoder receives them.
    count: length of the longest row of seen places.
    lengths: seen places of every row, or None when all rows see `count` places.

    Places may be neither seen nor hidden (padding, partial decoding). Works without a batch axis.
    """

    hidden: Bool[Tensor, "*batch n"]
    order: Int64[Tensor, "*batch n"]
    count: int
    lengths: Int64[Tensor, "*batch"] | None = None

    @classmethod
    def from_scores(
        cls,
        scores: Float[Tensor, "*batch n"],
        seen: int | Int64[Tensor, "*batch"],
        places: Bool[Tensor, "*batch n"] | None = None,
    ) -> "Mask":
        """The `seen` places with the lowest scores stay visible, all others are hidden.

        places: True where a place exists; the others are neither seen nor hidden.
        """
        n = scores.shape[-1]
        if places is not None:
            scores = scores.masked_fill(~places, torch.inf)
        order = scores.argsort(dim=-1, stable=True)
        rank = torch.empty_like(order).scatter_(-1, order, torch.arange(n, device=order.device).expand_as(order))
        if isinstance(seen, int):
            hidden = rank >= seen
            count, lengths = seen, None
        else:
            hidden = rank >= seen.unsqueeze(-1)
            count, lengths = int(seen.max()), seen
        return cls(hidden if places is None else hidden & places, order, count, lengths)

    @classmethod
    def of(cls, hidden: Bool[Tensor, "*batch n"], places: Bool[Tensor, "*batch n"] | None = None) -> "Mask":
        """The mask of a boolean tensor; `places` is False where a place is neither seen nor hidden."""
        seen = ~hidden if places is None else ~hidden & places
        order = (~seen).to(torch.uint8).argsort(dim=-1, stable=True)
        lengths = seen.sum(-1)
        count = int(lengths.max())
        ragged = bool((lengths != count).any())
        return cls(hidden if places is None else hidden & places, order, count, lengths if ragged else None)

    @classmethod
    def nothing(cls, *shape: int, device: torch.device | str | None = None) -> "Mask":
        """The mask of the given shape that hides nothing."""
        return cls.of(torch.zeros(shape, dtype=torch.bool, device=device))

    @cached_property
    def valid(self) -> Bool[Tensor, "*batch s"] | None:
        """False where `visible` had to pad a shorter row; None when no row is padded."""
        if self.lengths is None:
            return None
        return torch.arange(self.count, device=self.order.device) < self.lengths.unsqueeze(-1)

    @property
    def kept(self) -> Int64[Tensor, "*batch s"]:
        """The seen places in the encoder's order."""
        return self.order[..., : self.count]

    def visible(self, x: Float[Tensor, "*batch n d"]) -> Float[Tensor, "*batch s d"]:
        """Drops what is not seen; shorter rows are filled up with zeros (see `valid`)."""
        seen = x.gather(-2, self.kept.unsqueeze(-1).expand(*self.kept.shape, x.shape[-1]))
        return seen if self.valid is None else seen * self.valid.unsqueeze(-1)

    def cover(self, x: Float[Tensor, "*batch n d"], fill: Float[Tensor, "*fill d"]) -> Float[Tensor, "*batch n d"]:
        """Replaces the hidden places by `fill` and keeps the length."""
        return torch.where(self.hidden.unsqueeze(-1), fill.to(x.dtype), x)

    def complete(self, x: Float[Tensor, "*batch s d"], fill: Float[Tensor, "*fill d"]) -> Float[Tensor, "*batch n d"]:
        """Puts the seen places back where they came from, with `fill` everywhere else."""
        full = fill.to(x.dtype).expand(*self.order.shape, x.shape[-1]).clone()
        if self.valid is None:
            return full.scatter(-2, self.kept.unsqueeze(-1).expand_as(x), x)
        own = full.gather(-2, self.kept.unsqueeze(-1).expand_as(x))
        return full.scatter(-2, self.kept.unsqueeze(-1).expand_as(x), torch.where(self.valid.unsqueeze(-1), x, own))
