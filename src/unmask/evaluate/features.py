"""Features of whole data sets: a table for probes, a stream for embedding. Nothing is ever masked."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from unmask.core import Batch, Features, Method, to_device
from unmask.evaluate.growing import MEMORY, GrowingTables

ROWS = 1 << 13  # of a table, taken at once
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """What a frozen encoder says of a data set.

    blocks: one table of vectors per block, first block first, in float32 on the CPU; large ones are mapped files.
    labels: as they came in the batches, or None when the batches have none. index: place in the data set.
    """

    blocks: list[Tensor]
    labels: Tensor | None
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    @property
    def classes(self) -> Int64[Tensor, "n"]:
        """The labels as class numbers. Raises ValueError where there are none."""
        if self.labels is None:
            raise ValueError("the data has no labels: this needs a class number for every sample")
        return self.labels.long()

    def take(self, rows: Int64[Tensor, "m"]) -> "FeatureTable":
        """The table of these rows only."""
        labels, tables = None if self.labels is None else self.labels[rows], GrowingTables()
        for part in rows.split(ROWS):
            tables.append([block[part] for block in self.blocks])
        return FeatureTable(tables.finish(), labels, self.index[rows])


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode; every module's own mode is put back afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def automatic(device: torch.device | str, precision: str | None):
    """The context in which a forward pass runs in "bf16" or "fp16"; None keeps full precision."""
    if precision is not None and precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r} is unknown; choose None, {', '.join(PRECISIONS)}")
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=PRECISIONS.get(precision or "bf16"), enabled=precision is not None)


def represent(
    method: Method, batch: Batch, device: torch.device | str = "cpu", precision: str | None = None
) -> Features:
    """The features of one batch without gradients; the method stands on `device` in evaluation mode."""
    with torch.no_grad(), automatic(device, precision):
        return method.features(to_device(batch, device))


def levels(features: Features) -> tuple[Tensor, ...]:
    """One vector per sample for every block; the pooled vector alone where a network has no blocks."""
    return features.blocks or (features.pooled,)


def embed(
    method: Method,
    batches: Iterable[Batch],
    block: int | None = None,
    device: torch.device | str = "cpu",
    precision: str | None = None,
) -> Iterator[tuple[Int64[Tensor, "b"], Float[Tensor, "b d"]]]:
    """Places in the data set and vectors, batch by batch, so that any number of samples fits into memory.

    block: counted from 1; None takes the last one. Without "index" in the batches the samples are counted.
    """
    method.to(device)
    count = 0
    for batch in batches:
        with frozen(method):
            vectors = levels(represent(method, batch, device, precision))
        chosen = vectors[_position(block, len(vectors))].float().cpu()
        yield _index(batch, count, len(chosen)), chosen
        count += len(chosen)


def tokens(
    method: Method, batches: Iterable[Batch], device: torch.device | str = "cpu"
) -> Iterator[tuple[Int64[Tensor, "b"], Float[Tensor, "b n d"]]]:
    """Places in the data set and one vector per place of every sample, batch by batch, of the last block.

    Raises ValueError where a network has no places.
    """
    method.to(device)
    count = 0
    for batch in batches:
        with frozen(method):
            found = represent(method, batch, device).tokens
        if found is None:
            raise ValueError(f"{type(method).__name__} has no places, and so no vector for each; leave --tokens out")
        yield _index(batch, count, len(found)), found.float().cpu()
        count += len(found)


def extract(
    method: Method,
    batches: Iterable[Batch],
    device: torch.device | str = "cpu",
    precision: str | None = None,
    blocks: Sequence[int] | None = None,
    memory: int = MEMORY,
) -> FeatureTable:
    """The features of all samples at every block, or at the given ones, counted from 1.

    memory: bytes that the blocks may take together; a longer table lies in temporary files, which need as much disk.
    """
    method.to(device)
    tables = GrowingTables(memory, len(batches) if isinstance(batches, Sized) else None)
    labels, index = [], []
    broken: Counter[int] = Counter()
    with frozen(method):
        for batch in batches:
            vectors = levels(represent(method, batch, device, precision))
            if blocks is not None:
                vectors = tuple(vectors[_position(block, len(vectors))] for block in blocks)
            for number, vector in enumerate(vectors, 1):
                broken[number] += int((~vector.isfinite()).any(-1).sum())
            index.append(_index(batch, tables.rows, len(vectors[0])))
            tables.append(vectors)
            if "label" in batch:
                labels.append(batch["label"].cpu())
    if not tables.rows:
        raise ValueError("there is nothing to evaluate: the batches are empty; check the data and its split")
    _check_finite(broken, tables.rows)
    return FeatureTable(tables.finish(), torch.cat(labels) if labels else None, torch.cat(index))


def _position(block: int | None, count: int) -> int:
    if block is None:
        return count - 1
    if not 1 <= block <= count:
        raise ValueError(f"block {block} does not exist; this network has the blocks 1 to {count}")
    return block - 1


def _index(batch: Batch, first: int, rows: int) -> Int64[Tensor, "b"]:
    return batch["index"].cpu() if "index" in batch else torch.arange(first, first + rows)


def _check_finite(broken: Counter[int], rows: int) -> None:
    for number, count in broken.items():
        if count:
            raise ValueError(
                f"{count} of {rows} samples have features at block {number} that are not finite; "
                "use full precision or an earlier checkpoint"
            )
