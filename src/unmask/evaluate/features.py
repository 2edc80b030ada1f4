"""Features of whole data sets: a table for probes, a stream for embedding. Nothing is ever masked."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from unmask.core import Batch, Features, Method, to_device

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """What a frozen encoder says of a data set.

    blocks: one table of vectors per block, first block first, in float32 on the CPU.
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
        labels = None if self.labels is None else self.labels[rows]
        return FeatureTable([block[rows] for block in self.blocks], labels, self.index[rows])


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


def extract(
    method: Method,
    batches: Iterable[Batch],
    device: torch.device | str = "cpu",
    precision: str | None = None,
    blocks: Sequence[int] | None = None,
) -> FeatureTable:
    """The features of all samples at every block, or at the given ones, counted from 1."""
    method.to(device)
    columns: list[list[Tensor]] = []
    labels, index, count = [], [], 0
    with frozen(method):
        for batch in batches:
            vectors = levels(represent(method, batch, device, precision))
            if blocks is not None:
                vectors = tuple(vectors[_position(block, len(vectors))] for block in blocks)
            columns = columns or [[] for _ in vectors]
            for column, vector in zip(columns, vectors, strict=True):
                column.append(vector.float().cpu())
            index.append(_index(batch, count, len(vectors[0])))
            count += len(vectors[0])
            if "label" in batch:
                labels.append(batch["label"].cpu())
    if not columns:
        raise ValueError("there is nothing to evaluate: the batches are empty; check the data and its split")
    tables = []
    while columns:  # one block at a time, so that the parts of one block only are held twice
        tables.append(torch.cat(columns.pop(0)))
    _check_finite(tables)
    return FeatureTable(tables, torch.cat(labels) if labels else None, torch.cat(index))


def _position(block: int | None, count: int) -> int:
    if block is None:
        return count - 1
    if not 1 <= block <= count:
        raise ValueError(f"block {block} does not exist; this network has the blocks 1 to {count}")
    return block - 1


def _index(batch: Batch, first: int, rows: int) -> Int64[Tensor, "b"]:
    return batch["index"].cpu() if "index" in batch else torch.arange(first, first + rows)


def _check_finite(tables: list[Tensor]) -> None:
    for number, table in enumerate(tables, 1):
        broken = int((~table.isfinite()).any(-1).sum())
        if broken:
            raise ValueError(
                f"{broken} of {len(table)} samples have features at block {number} that are not finite; "
                "use full precision or an earlier checkpoint"
            )
