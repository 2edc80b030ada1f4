"""TrainingStream: the samples of a run in an order that depends on the seed alone.

Samples are numbered from the start of the run. Sample `position` is the one at `sample_at(seed, position, n)`, and its
view is drawn from (seed, position); so neither workers, processes, accumulation nor a restart change anything.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Dataset

from unmask.core import Batch, to_device
from unmask.data.evaluation import EvaluationBatches, evaluation_batches
from unmask.data.loading import Faults, TooManyUnreadable, in_order
from unmask.data.order import number, order, sample_at, substitute
from unmask.data.picture import Unreadable
from unmask.data.protocols import Drawing, Facts, Reader
from unmask.data.source import Source

ATTEMPTS = 100  # replacements of one sample before the data set is given up

__all__ = ["EvaluationBatches", "TooManyUnreadable", "TrainingStream", "evaluation_batches", "order", "sample_at"]


class MicroBatches(Dataset):
    """Micro-batch k of one process, and what could not be read on the way."""

    def __init__(
        self,
        source: Source,
        card: Facts,
        view: Drawing,
        seed: int,
        batch: int,
        processes: int,
        process: int,
        accumulation: int,
        reader: Reader,
        deferred: bool,
        labels: bool,
    ):
        self.labels = labels and bool(source.classes)
        self.source, self.card, self.view, self.reader, self.deferred = source, card, view, reader, deferred
        self.seed, self.batch = seed, batch
        self.processes, self.process, self.accumulation = processes, process, accumulation
        self.size = batch // (processes * accumulation)

    def __getitem__(self, k: int) -> tuple[Batch | None, dict[str, str]]:
        step, part = divmod(k, self.accumulation)
        first = step * self.batch + (part * self.processes + self.process) * self.size
        faults: dict[str, str] = {}
        samples = [self.sample(first + row, faults) for row in range(self.size)]
        complete = [sample for sample in samples if sample is not None]
        if len(complete) < self.size:
            return None, faults
        return self.view.collate(complete, self.card, self.deferred), faults

    def sample(self, position: int, faults: dict[str, str]) -> dict[str, Tensor] | None:
        """The view of the sample at this running number, or of its substitute, as drawn; None if none can be found."""
        n = len(self.source)
        generator = torch.Generator()
        for attempt in range(ATTEMPTS):
            i = substitute(self.seed, position, attempt, n) if attempt else sample_at(self.seed, position, n)
            try:
                found = self.view.draw(
                    self.reader.read(self.source, i),
                    self.card,
                    generator.manual_seed(number("view", self.seed, position)),
                )
            except Unreadable as error:
                faults[self.source.items[i].name] = error.reason
                continue
            found["index"] = torch.tensor(i)
            if self.labels:
                found["label"] = torch.tensor(self.source.label(i))
            return found
        return None


class TrainingStream:
    """Micro-batches of one process, `steps` x `accumulation` of them; made anew, it can start at any step.

    batch: samples of a whole step, over all processes and accumulation.
    workers: processes that read ahead; 0 reads when a batch is asked for.
    budget: share of the samples that may be unreadable; each is replaced by another and counted in `faults`.
    cache_bytes: memory for decoded pictures, over all workers. Of a set that needs more, JPEGs of at least four times
        the size of the view are decoded anew for every view, at a reduced scale where the crop allows.
    labels: whether batches hold "label" where the source has classes, -1 for a sample without one.
    device: where batches are wanted. What a view defers, such as making real numbers of 8-bit pictures, is done there.
    """

    def __init__(
        self,
        source: Source,
        card: Facts,
        view: Drawing,
        *,
        seed: int,
        batch: int,
        steps: int,
        start: int = 0,
        processes: int = 1,
        process: int = 0,
        accumulation: int = 1,
        workers: int = 0,
        budget: float = 0.001,
        cache_bytes: int = 1 << 30,
        device: torch.device | str = "cpu",
        labels: bool = False,
    ):
        if batch < 1 or batch % (processes * accumulation):
            raise ValueError(
                f"batch {batch} cannot be divided over {processes} process(es) x {accumulation} accumulation; "
                f"choose a multiple of {processes * accumulation}"
            )
        if not 0 <= process < processes:
            raise ValueError(f"process {process} is not one of {processes}")
        if not 0 <= start <= steps:
            raise ValueError(f"start {start} is outside 0 to {steps} steps")
        card.check_uniform()
        self.source, self.card, self.view, self.workers, self.device = source, card, view, workers, torch.device(device)
        self.start, self.steps, self.accumulation = start, steps, accumulation
        self.faults = Faults(len(source), budget, source.noun)
        reader = view.reader(card, len(source), cache_bytes, workers)
        self.deferred = view.deferred(card, workers, self.device)
        self._batches = MicroBatches(
            source, card, view, seed, batch, processes, process, accumulation, reader, self.deferred, labels
        )

    def __len__(self) -> int:
        return (self.steps - self.start) * self.accumulation

    def __iter__(self) -> Iterator[Batch]:
        places = range(self.start * self.accumulation, self.steps * self.accumulation)
        for batch, faults in in_order(self._batches, places, self.workers):
            self.faults.add(faults)
            if batch is None:
                raise self.faults.too_many()
            batch = to_device(batch, self.device)
            yield self.view.arrived(batch, self.card) if self.deferred else batch
