"""Holding out a part of the data, the same part every time."""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Int64
from torch import Tensor

from unmask.core import Batch

SHARE = 0.1  # held out where no validation part is given


def hold_out(
    count: int, labels: Int64[Tensor, "n"] | None = None, share: float = SHARE, seed: int = 0
) -> tuple[Int64[Tensor, "kept"], Int64[Tensor, "held"]]:
    """Rows to keep and rows to hold out, both ascending; with labels the share holds in every class.

    A class keeps at least one row; a class of one row is not held out at all.
    """
    if not 0 < share < 1:
        raise ValueError(f"share {share} of held-out rows must lie between 0 and 1")
    generator = torch.Generator().manual_seed(seed)
    groups = torch.zeros(count, dtype=torch.long) if labels is None else labels
    held = []
    for group in groups.unique():
        rows = (groups == group).nonzero().squeeze(-1)
        rows = rows[torch.randperm(len(rows), generator=generator)]
        held.append(rows[: min(max(1, round(share * len(rows))), len(rows) - 1)])
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[torch.cat(held)] = True
    if not chosen.any():
        raise ValueError(f"{count} samples of {len(held)} class(es) leave nothing to hold out; give a validation part")
    return (~chosen).nonzero().squeeze(-1), chosen.nonzero().squeeze(-1)


class Part:
    """The given rows of batches that can be read again and again, in their own order and batches."""

    def __init__(self, batches: Iterable[Batch], rows: Int64[Tensor, "m"]):
        self.batches = batches
        self.rows = rows

    def __iter__(self) -> Iterator[Batch]:
        chosen = torch.zeros(int(self.rows.max()) + 1 if len(self.rows) else 0, dtype=torch.bool)
        chosen[self.rows] = True
        first = 0
        for batch in self.batches:
            size = len(next(iter(batch.values())))
            mine = chosen[first : first + size].nonzero().squeeze(-1)
            first += size
            if len(mine):
                yield {key: value[mine.to(value.device)] for key, value in batch.items()}
