"""What is looked at while a method trains: held-out numbers, one sentence, and pictures."""

from collections.abc import Callable
from pathlib import Path

import torch

from unmask.app.catalogue import complete
from unmask.app.modality import modality_of
from unmask.app.pictures import save_png
from unmask.app.report import read_log
from unmask.app.runs import Config, few
from unmask.core import Batch, Context, Method
from unmask.data.protocols import Facts
from unmask.data.source import Source
from unmask.data.stream import evaluation_batches
from unmask.evaluate.monitor import advice
from unmask.train.trackers import Logs

MOST = 256  # held-out samples looked at each time
REFERENCES = 1000  # labelled training samples for kNN
FEWEST = 2  # held-out samples: their features are compared in pairs
SHOWN = 6  # samples drawn each time
BATCH = 64


class Watcher:
    """Called by the loop every so often; returns the numbers of the held-out data and draws pictures."""

    def __init__(
        self,
        out: Path,
        config: Config,
        card: Facts,
        training: Source,
        held: Source,
        logs: Logs,
        device: torch.device,
        say: Callable[[str], None] = print,
    ):
        self.kind = modality_of(config.method, config.kind)
        view = self.kind.evaluation_view(complete(config.method, config.settings), config.data)
        looked_at = evaluation_batches(spread(held, MOST), card, view, BATCH, budget=1.0)
        self.batches = list(looked_at)
        if looked_at.faults:
            say(f"{len(looked_at.faults)} held-out {held.noun} cannot be used: {few(list(looked_at.faults))}")
        if sum(len(batch["index"]) for batch in self.batches) < (1 if held.transductive else FEWEST):
            why = "".join(f"; {name} {reason}" for name, reason in list(looked_at.faults.items())[:1])
            raise ValueError(
                f"fewer than {FEWEST} of {len(held)} held-out {held.noun} of {held.origin} can be used{why}"
            )
        references = evaluation_batches(spread(training, REFERENCES), card, view, BATCH, budget=1.0)
        self.references = list(references) if training.classes else None
        self.out, self.card, self.logs, self.device, self.say = out, card, logs, device, say
        self.plan = config.plan
        self.history = [row for row in read_log(out / "log.jsonl") if row["kind"] == "held_out"]

    def __call__(self, method: Method, step: int, progress: float) -> dict[str, float]:
        context = Context(progress=progress, step=step, epoch=progress * self._epochs())
        numbers = self.kind.look(method, self.batches, self.plan["seed"], self.device, context, self.references)
        self.history.append(numbers)
        sentence = advice(self.history, self.kind.NOUN)
        self.say(f"step {step}: {sentence}")
        (self.out / "advice.txt").write_text(sentence + "\n")
        self._draw(method, context)
        return numbers

    def _epochs(self) -> float:
        return self.plan["steps"] * self.plan["batch"] / self.plan["samples"]

    def _draw(self, method: Method, context: Context) -> None:
        if not self.kind.draws(method):
            return
        batch = first_rows(next(iter(self.batches)), SHOWN)
        batch = {key: value.to(self.device) for key, value in batch.items()}
        generator = torch.Generator().manual_seed(self.plan["seed"])
        shown = Context(context.progress, context.step, context.epoch, generator=generator)
        path = self.out / "pictures" / f"step-{context.step:08d}.png"
        path.parent.mkdir(exist_ok=True)
        save_png(self.kind.panel(method, batch, self.card, shown), path)
        self.logs.image(context.step, "reconstruction", path)


def spread(source: Source, count: int) -> Source:
    """At most `count` samples at equal distances, so that every class has its share."""
    if count < 1:
        raise ValueError(f"{count} {source.noun} are too few; ask for at least 1")
    step = max(1, len(source) // count)
    return source.subset(range(0, step * min(count, len(source)), step))


def first_rows(batch: Batch, count: int) -> Batch:
    """The first samples of a batch."""
    return {key: value[:count] for key, value in batch.items()}
