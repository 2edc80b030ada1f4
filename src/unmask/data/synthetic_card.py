"""SyntheticCard: what equations say of their samples exactly, and what the samples themselves say."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.core import Batch
from unmask.data.card_json import JsonCard
from unmask.data.card_text import laid_out
from unmask.data.source import Source
from unmask.data.synthetic import SyntheticSource
from unmask.data.values import PlainView, whole_of


@dataclass(frozen=True)
class SyntheticCard(JsonCard):
    """Of every feature: covariance of both vectors, regression coefficient and variances, exact and in the samples."""

    origin: str
    fingerprint: str
    count: int
    channels: tuple[str, ...]
    covariance: tuple[float, ...]
    coefficient: tuple[float, ...]
    variance: tuple[float, ...]
    partner_variance: tuple[float, ...]
    measured_covariance: tuple[float, ...]
    measured_coefficient: tuple[float, ...]

    @property
    def constant(self) -> tuple[str, ...]:
        """Features that never change."""
        return tuple(name for name, variance in zip(self.channels, self.variance, strict=True) if not variance > 0)

    def check_uniform(self) -> None:
        """All samples have the same features."""

    def scaled(self, values: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """The values as they are: the theory is about their scales."""
        return values

    def to_text(self, view=None, estimate: str | None = None) -> str:
        """The card for people."""
        head = [("data", self.origin), ("samples", f"{self.count:,} pairs of {len(self.channels)} features")]
        if self.constant:
            head.append(("constant", ", ".join(self.constant)))
        columns = ("covariance", "coefficient", "variance", "in the samples: covariance", "coefficient")
        width = max(7, *(len(name) for name in self.channels))
        table = [f"{'feature':<{width}} " + " ".join(f"{name:>12}" for name in columns)]
        rows = zip(
            self.channels,
            self.covariance,
            self.coefficient,
            self.variance,
            self.measured_covariance,
            self.measured_coefficient,
            strict=True,
        )
        for name, *numbers in rows:
            cells = [f"{n:>{max(12, len(title))}.4f}" for n, title in zip(numbers, columns, strict=True)]
            table.append(f"{name:<{width}} " + " ".join(cells))
        return laid_out(self, head, view, estimate, table)


def inspect_synthetic(source: Source) -> SyntheticCard:
    """The card of the samples of `source`."""
    whole = whole_of(source, SyntheticSource)
    exact = whole.equations.moments()
    pairs = torch.stack([torch.as_tensor(source.read(i)) for i in range(len(source))]).double()
    both, first = (pairs[:, 0] * pairs[:, 1]).mean(0), pairs[:, 0].square().mean(0)
    return SyntheticCard(
        origin=whole.origin,
        fingerprint=source.fingerprint(),
        count=len(source),
        channels=whole.channels,
        covariance=exact.both,
        coefficient=exact.coefficients,
        variance=exact.first,
        partner_variance=exact.second,
        measured_covariance=tuple(both.tolist()),
        measured_coefficient=tuple((both / first.clamp(min=1e-300)).tolist()),
    )


class PairView(PlainView):
    """The two vectors of a sample as they are."""

    def __call__(self, sample: Float[Tensor, "2 d"], card: SyntheticCard, target: None = None) -> Batch:
        return {"vector": sample[0], "partner": sample[1]}

    def sentences(self, card: SyntheticCard) -> list[str]:
        """What training does with the samples."""
        return ["pairs as their equations give them, in an order that the seed decides"]
