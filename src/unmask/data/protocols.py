"""What streams and batches ask of the card and the views of any kind of data."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from unmask.core import Batch
from unmask.data.source import Source


@runtime_checkable
class Facts(Protocol):
    """A data card: what a data set is, measured once and kept with every run that trained on it."""

    @property
    def origin(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def count(self) -> int: ...

    @property
    def channels(self) -> tuple[str, ...]: ...

    def check_uniform(self) -> None:
        """Raises ValueError where the samples cannot stand in one batch."""

    def to_json(self) -> str: ...

    def to_text(self, view: Any = None, estimate: str | None = None) -> str: ...


@runtime_checkable
class Reader(Protocol):
    """Reads samples, and may keep some of them in memory."""

    def read(self, source: Source, i: int) -> Any: ...


@runtime_checkable
class Drawing(Protocol):
    """A view for training: what the network gets of a sample, drawn from a generator."""

    def reader(self, card: Any, count: int, cache_bytes: int, workers: int) -> Reader:
        """How samples are read. cache_bytes: memory for what is kept, over all workers."""

    def draw(self, sample: Any, card: Any, generator: torch.Generator, /) -> dict[str, Tensor]: ...

    def deferred(self, card: Any, workers: int, device: torch.device) -> bool:
        """Whether batches travel as they were drawn and are completed by `arrived`."""

    def collate(self, samples: Sequence[dict[str, Tensor]], card: Any, deferred: bool) -> Batch: ...

    def arrived(self, batch: Batch, card: Any) -> Batch: ...


@runtime_checkable
class Showing(Protocol):
    """A view for evaluation: the same every time."""

    def __call__(self, sample: Any, card: Any, target: Any = None, /) -> dict[str, Tensor]: ...


@runtime_checkable
class Joining(Protocol):
    """A view whose samples differ in size, or that says otherwise how those it shows become one batch."""

    def together(self, samples: Sequence[dict[str, Tensor]]) -> Batch: ...
