"""Holding out a part of the data, the same part every time."""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Int64
from torch import Tensor

from unmask.core import Batch

VALIDATION, TEST = 0.1, 0.2  # shares held out where a part is not given


def complete(
    train: Iterable[Batch], validation: Iterable[Batch] | None, test: Iterable[Batch] | None, seed: int = 0
) -> tuple[dict[str, Iterable[Batch]], str]:
    """Train, validation and test, and a sentence on what was held out from train because it was missing."""
    for name, batches in (("train", train), ("validation", validation), ("test", test)):
        if isinstance(batches, Iterator):
            raise TypeError(f"the {name} batches can be read only once; pass a list or another iterable to read again")
    given = {"train": train, "validation": validation, "test": test}
    parts = {name: batches for name, batches in given.items() if batches is not None}
    missing = {name: share for name, share in (("test", TEST), ("validation", VALIDATION)) if name not in parts}
    if missing:
        labels = _labels(train)
        rows = torch.arange(len(labels))
        for name, share in missing.items():
            kept, held = hold_out(len(rows), labels[rows], share, seed)
            parts[name], rows = Part(train, rows[held]), rows[kept]
        parts["train"] = Part(train, rows)
    shares = " and ".join(f"{share:.0%} for {name}" for name, share in missing.items())
    return parts, f"held out from train, seed {seed}: {shares}" * bool(missing)


def _labels(batches: Iterable[Batch]) -> Int64[Tensor, "n"]:
    """Class numbers, or zeros where there are none, so that the split holds in every class."""
    found = []
    for batch in batches:
        size = len(next(iter(batch.values())))
        classes = "label" in batch and batch["label"].ndim == 1 and not batch["label"].is_floating_point()
        found.append(batch["label"].cpu().long() if classes else torch.zeros(size, dtype=torch.long))
    if not found:
        raise ValueError("there is nothing to evaluate: the training batches are empty; check the data and its split")
    return torch.cat(found)


def hold_out(
    count: int, labels: Int64[Tensor, "n"] | None = None, share: float = VALIDATION, seed: int = 0
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
