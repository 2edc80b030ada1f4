"""Runs probes on the three parts of a data set, extracting features once and using the test part once."""

from collections.abc import Iterable

import torch

from unmask.core import Batch, Method
from unmask.evaluate.features import FeatureTable, extract
from unmask.evaluate.knn import accuracy
from unmask.evaluate.labels import accuracy_of_commonest, labelled
from unmask.evaluate.outcome import Outcome, best_block


class Bench:
    """The parts "train", "validation" and "test" of a data set, and the features of methods on them.

    Two kinds of probes run here. `fit(train, labels, validation, validation_labels, classes)` gives functions from
    one block's features to scores of the classes, several where labels are drawn anew. `run(method, parts, device,
    precision)` works on the batches themselves and gives its `Outcome`.
    """

    def __init__(
        self, parts: dict[str, Iterable[Batch]], device: torch.device | str = "cpu", precision: str | None = None
    ):
        self.parts = parts
        self.device = device
        self.precision = precision
        self._tables: dict[tuple[int, str], FeatureTable] = {}

    def table(self, method: Method, part: str) -> FeatureTable:
        """The features of a part, without the samples that have no label."""
        key = (id(method), part)
        if key not in self._tables:
            table = extract(method, self.parts[part], self.device, self.precision)
            rows = labelled(table.labels, part)
            self._tables[key] = table if len(rows) == len(table) else table.take(rows)
        return self._tables[key]

    def run(self, probe, method: Method) -> Outcome:
        """The probe at every block, and at the best one on the test part."""
        if hasattr(probe, "fit"):
            return self._fit(probe, method)
        return probe.run(method, self.parts, self.device, self.precision)

    def _fit(self, probe, method: Method) -> Outcome:
        train, validation, test = (self.table(method, part) for part in ("train", "validation", "test"))
        classes = 1 + max(int(table.classes.max()) for table in (train, validation, test))
        labels, goals = train.classes.to(self.device), validation.classes.to(self.device)
        scores: dict[int, float] = {}
        best: list = []
        for block, (x, held) in enumerate(zip(train.blocks, validation.blocks, strict=True), 1):
            held = held.to(self.device)
            fitted = probe.fit(x.to(self.device), labels, held, goals, classes)
            scores[block] = sum(accuracy(one(held), goals) for one in fitted) / len(fitted)
            best = fitted if best_block(scores) == block else best
        block = best_block(scores)
        final = test.blocks[block - 1].to(self.device)
        found = torch.tensor([accuracy(one(final), test.classes) for one in best], dtype=torch.float64)
        spread = float(found.std()) if len(found) > 1 else 0.0
        chance = accuracy_of_commonest(train.classes, test.classes)
        return Outcome(probe.name, "accuracy", scores, block, float(found.mean()), spread, chance, classes)

    def samples(self, method: Method) -> dict[str, int]:
        """How many samples every part has, as far as features were extracted."""
        return {part: len(self._tables[id(method), part]) for part in self.parts if (id(method), part) in self._tables}
