"""What sources have in common whose values are all in memory, and views that neither keep nor defer anything."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from unmask.core import Batch
from unmask.data.loading import collate
from unmask.data.protocols import Reader
from unmask.data.source import Source, Subset

Whole = TypeVar("Whole", bound=Source)


class ValueSource(Source):
    """A source with a fingerprint of its values, which its parts keep: changed values are noticed in any part."""

    def subset(self, indices: Iterable[int]) -> "ValueSubset":
        return ValueSubset(self, indices)


class ValueSubset(Subset):
    """Some samples of a source of values; changed values change the fingerprint, as they do of the whole."""

    def fingerprint(self) -> str:
        return hashlib.sha256((self.whole.fingerprint() + super().fingerprint()).encode()).hexdigest()

    def subset(self, indices: Iterable[int]) -> "ValueSubset":
        return ValueSubset(self, indices)


def whole_of(source: Source, kind: type[Whole]) -> Whole:
    """The source of this kind that `source` is a part of, or a part of a part. Raises TypeError for other data."""
    whole = source
    while isinstance(whole, Subset):
        whole = whole.whole
    if not isinstance(whole, kind):
        raise TypeError(f"{source.origin} holds {source.noun}, not {kind.noun}")
    return whole


class PlainView:
    """What is shown of a sample, by `__call__`; the same in training unless `draw` says otherwise.

    Samples are not kept, and batches are complete when they are made.
    """

    def __call__(self, sample: Any, card: Any, target: Any = None) -> dict[str, Tensor]:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(sample, card)")

    def draw(self, sample: Any, card: Any, generator: torch.Generator) -> dict[str, Tensor]:
        return self(sample, card)

    def reader(self, card: Any, count: int, cache_bytes: int, workers: int) -> Reader:
        return self

    def read(self, source: Source, i: int) -> Any:
        """The sample itself."""
        return source.read(i)

    def deferred(self, card: Any, workers: int, device: torch.device) -> bool:
        return False

    def together(self, samples: Sequence[dict[str, Tensor]]) -> Batch:
        """Samples as `__call__` gives them, as one batch."""
        return collate(samples)

    def collate(self, samples: Sequence[dict[str, Tensor]], card: Any, deferred: bool) -> Batch:
        return self.together(samples)

    def arrived(self, batch: Batch, card: Any) -> Batch:
        return batch
