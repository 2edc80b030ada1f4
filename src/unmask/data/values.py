"""What sources have in common whose values are all in memory, and views in which nothing is random."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from unmask.core import Batch
from unmask.data.loading import collate
from unmask.data.protocols import Reader
from unmask.data.source import Source, Subset


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


def whole_of(source: Source) -> Source:
    """The source that `source` is a part of, of a part, ..."""
    while isinstance(source, Subset):
        source = source.whole
    return source


class FixedView:
    """The same of a sample every time, in training and evaluation: a view defines what that is by `__call__`."""

    def __call__(self, sample: Any, card: Any, target: Any = None) -> dict[str, Tensor]:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(sample, card)")

    def draw(self, sample: Any, card: Any, generator: torch.Generator) -> dict[str, Tensor]:
        return self(sample, card)

    def reader(self, card: Any, count: int, cache_bytes: int, workers: int) -> Reader:
        return self

    def read(self, source: Source, i: int) -> Any:
        """The sample itself: everything is in memory."""
        return source.read(i)

    def deferred(self, card: Any, workers: int, device: torch.device) -> bool:
        return False

    def collate(self, samples: Sequence[dict[str, Tensor]], card: Any, deferred: bool) -> Batch:
        return collate(samples)

    def arrived(self, batch: Batch, card: Any) -> Batch:
        return batch
