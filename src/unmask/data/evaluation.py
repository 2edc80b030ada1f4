"""Batches in the order of the data set, for features and scores."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Dataset

from unmask.core import Batch
from unmask.data.loading import Faults, collate, in_order
from unmask.data.picture import Unreadable
from unmask.data.protocols import Facts, Joining, Showing
from unmask.data.source import Source


class _Rows(Dataset):
    def __init__(self, source: Source, card: Facts, view: Showing, size: int, labels: bool, targets: bool):
        self.source, self.card, self.view, self.size = source, card, view, size
        self.labels, self.targets = labels and bool(source.classes), targets

    def __getitem__(self, k: int) -> tuple[Batch | None, dict[str, str]]:
        faults: dict[str, str] = {}
        samples = []
        for i in range(k * self.size, min((k + 1) * self.size, len(self.source))):
            try:
                samples.append(self.sample(i))
            except Unreadable as error:
                faults[self.source.items[i].name] = error.reason
        return (self.together(samples) if samples else None), faults

    def together(self, samples: list[dict[str, Tensor]]) -> Batch:
        """A batch of the samples, as the view puts them together where it says how."""
        return self.view.together(samples) if isinstance(self.view, Joining) else collate(samples)

    def sample(self, i: int) -> dict[str, Tensor]:
        target = self.source.read_target(i) if self.targets else None
        if self.targets and target is None:
            raise Unreadable("has no segmentation mask")
        found = self.view(self.source.read(i), self.card, target)
        found["index"] = torch.tensor(i)
        if self.labels:
            found["label"] = torch.tensor(self.source.label(i))
        return found


class EvaluationBatches:
    """Can be gone through again and again. Unreadable samples are left out and counted in `faults`; `index` tells
    which samples a batch holds. More of them than `budget` raise TooManyUnreadable."""

    def __init__(self, rows: _Rows, workers: int, budget: float):
        self._rows, self.workers = rows, workers
        self.faults = Faults(len(rows.source), budget, rows.source.noun)

    def __len__(self) -> int:
        return -(-len(self._rows.source) // self._rows.size)

    def __iter__(self) -> Iterator[Batch]:
        for batch, faults in in_order(self._rows, range(len(self)), self.workers):
            self.faults.add(faults)
            if batch is not None:
                yield batch


def evaluation_batches(
    source: Source,
    card: Facts,
    view: Showing,
    batch: int = 256,
    workers: int = 0,
    labels: bool = True,
    targets: bool = False,
    budget: float = 0.001,
) -> EvaluationBatches:
    """Batches with what the view shows and "index", "label" if the source has classes, "segmentation" if `targets`."""
    card.check_uniform()
    if targets and not source.has_targets:
        raise ValueError(
            f"{source.origin} has no segmentation masks; put them in masks/ beside images/, or X_mask beside X_image"
        )
    return EvaluationBatches(_Rows(source, card, view, batch, labels, targets), workers, budget)
