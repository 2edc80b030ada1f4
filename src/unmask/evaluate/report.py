"""Every probe at every block, the block chosen on validation, the test part used once, and what to compare with."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from unmask.core import Batch, Card, Method
from unmask.evaluate.attentive import Attentive
from unmask.evaluate.bench import Bench
from unmask.evaluate.few_label import FewLabels
from unmask.evaluate.finetune import FineTune
from unmask.evaluate.knn import KNN
from unmask.evaluate.lars import LinearLARS
from unmask.evaluate.linear import Linear, Ridge
from unmask.evaluate.outcome import Outcome
from unmask.evaluate.pixels import PATCH, RawPixels
from unmask.evaluate.segmentation import Segmentation
from unmask.evaluate.split import complete

NAMES: dict[str, tuple[Callable, ...]] = {
    "knn": (KNN,),
    "linear": (Linear,),
    "ridge": (Ridge,),
    "linear_lars": (LinearLARS,),
    "attentive": (Attentive,),
    "few_label": tuple(lambda n=n: FewLabels(n) for n in (1, 5, 10)),
    "few_share": tuple(lambda share=share: FewLabels(share=share) for share in (0.01, 0.1)),
    "segmentation": (Segmentation,),
    "finetune": (FineTune,),
}


@dataclass(frozen=True)
class Report:
    """What the probes found. Scores are shares, 0 to 1.

    samples: how many of every part. usual: what the method's card says that probes normally give.
    note: how a missing part was made. measures: what other measures found, by name; texts: the same for reading.
    """

    outcomes: tuple[Outcome, ...]
    samples: dict[str, int]
    title: str = ""
    usual: str = ""
    note: str = ""
    measures: dict[str, dict[str, Any]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Outcome:
        """The outcome of the probe with that name."""
        found = {outcome.name: outcome for outcome in self.outcomes}
        if name not in found:
            raise KeyError(f"probe {name!r} is not in this report; it has {', '.join(found)}")
        return found[name]

    def to_json(self) -> dict:
        """Plain numbers and text, ready for `json.dumps`."""
        return asdict(self)

    def to_text(self) -> str:
        """A table for reading: validation scores by block in percent, `*` at the chosen one, and the test scores."""
        if not self.outcomes:
            return "\n".join(filter(None, [*self.texts.values(), self.note]))
        depth = max(max(outcome.validation) for outcome in self.outcomes)
        rows = [["block", *(outcome.name + " " for outcome in self.outcomes)]]
        rows += [[str(block), *(_entry(outcome, block) for outcome in self.outcomes)] for block in range(1, depth + 1)]
        rows.append(["test", *(_percent(outcome.test, outcome.spread) for outcome in self.outcomes)])
        rows.append(["raw pixels", *(_percent(outcome.pixels) for outcome in self.outcomes)])
        rows.append(["chance", *(_percent(outcome.chance) for outcome in self.outcomes)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [" ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.insert(1 + depth, "-" * max(map(len, lines)))
        metrics = " and ".join(sorted({outcome.metric for outcome in self.outcomes}))
        parts = ", ".join(f"{count:,} {name}" for name, count in self.samples.items())
        head = f"{metrics} in %, by block on validation (* = best), then its test score" + f"; {parts}" * bool(parts)
        usual = f"usual for {self.title}: {self.usual}" if self.usual else ""
        more = [*self.texts.values(), *filter(None, (self.note, usual))]
        return "\n".join([head, "", *lines, *([""] * bool(more)), *more])


def evaluate(
    method: Method,
    train: Iterable[Batch],
    validation: Iterable[Batch] | None = None,
    test: Iterable[Batch] | None = None,
    probes: Sequence = ("knn", "linear"),
    device: torch.device | str = "cpu",
    precision: str | None = None,
    card: Card | None = None,
    pixels: bool = True,
    seed: int = 0,
) -> Report:
    """Runs every probe at every block and reports the test score of the block that does best on validation.

    train, validation, test: batches that can be read again and again; a part that is missing is held out from
    train, a tenth for validation and a fifth for test, always the same samples.
    probes: names, or probes with other settings such as KNN(k=200). pixels: also measure raw pixels.
    """
    chosen = [probe for entry in probes for probe in _probes(entry)]
    parts, note = complete(train, validation, test, seed)
    bench = Bench(parts, device, precision)
    baseline = _baseline(method, parts["train"]) if pixels else None
    outcomes = []
    for probe in chosen:
        outcome = bench.run(probe, method)
        if baseline is not None and getattr(probe, "on_pixels", True):
            outcome = replace(outcome, pixels=bench.run(probe, baseline).test)
        outcomes.append(outcome)
    title, usual = (card.title, card.usual) if card else ("", "")
    return Report(tuple(outcomes), bench.samples(method), title, usual, note)


def _probes(entry) -> tuple:
    """The probes that a name stands for, or the given probe itself."""
    if not isinstance(entry, str):
        return (entry,)
    if entry not in NAMES:
        raise ValueError(f"probe {entry!r} is unknown; choose from {', '.join(NAMES)}")
    return tuple(make() for make in NAMES[entry])


def _baseline(method: Method, batches: Iterable[Batch]) -> RawPixels | None:
    """Raw pixels in patches of the method's size, or None where the data are not pictures."""
    if "image" not in next(iter(batches), {}):
        return None
    return RawPixels(getattr(getattr(method, "encoder", None), "patch_size", PATCH))


def _entry(outcome: Outcome, block: int) -> str:
    if block not in outcome.validation:
        return ""
    return _percent(outcome.validation[block]).rstrip() + ("*" if block == outcome.best else " ")


def _percent(score: float | None, spread: float = 0.0) -> str:
    if score is None:
        return "- "
    return f"{100 * score:.1f}" + (f" ± {100 * spread:.1f}" if spread else "") + " "
