"""How well volumes are segmented after fine-tuning: the Dice overlap on test volumes."""

from collections.abc import Iterator
from typing import Any

import torch

from unmask.app.catalogue import complete
from unmask.app.looking import batches_of, pictures_of
from unmask.app.measure import Asked, Measured
from unmask.app.runs import Loaded
from unmask.app.watching import spread
from unmask.core import Batch
from unmask.data.evaluation import EvaluationBatches
from unmask.data.order import order
from unmask.data.source import Source
from unmask.evaluate.volume_tuning import SCHEDULES, TARGET, overlap, tune
from unmask.train.engine import native_half

NAME = "dice"
BATCH = 4


def measure(
    loaded: Loaded,
    asked: Asked,
    *,
    steps: int = 200,
    labels: int | None = None,
    schedule: str = "sawtooth",
    lr: float = 1e-3,
) -> Measured:
    """The Dice overlap of every class on the test volumes, or the validation volumes, after fine-tuning everything.

    steps: of fine-tuning, 4 volumes each. labels: training volumes with masks that are used, chosen at random; default:
    all. schedule: "sawtooth" (the decoder first), "warm" or "none". lr: the highest rate.
    """
    if not hasattr(loaded.method, "segment"):
        raise ValueError(f"{loaded.config.method} does not segment; dice needs a method for volumes")
    if schedule not in SCHEDULES or steps < 1 or (labels is not None and labels < 1):
        raise ValueError(
            f"schedule {schedule!r}, steps {steps}, labels {labels}: choose one of {', '.join(SCHEDULES)}, and at least"
            " 1 of the others"
        )
    source = pictures_of(loaded, asked.data)
    train, test = parts_of(source, labels, asked)
    batches = batches_of(loaded, train, BATCH, targets=True)
    classes = class_count(batches)
    precision = native_half(asked.device)
    network = tune(
        loaded.method,
        Rounds(batches, steps, asked.seed),
        classes,
        steps=steps,
        schedule=schedule,
        lr=lr,
        seed=asked.seed,
        device=asked.device,
        precision=precision,
    )
    asked_of = batches_of(loaded, test, 1, targets=True)
    found = overlap(network, asked_of, classes, asked.device, precision)
    numbers: dict[str, Any] = {
        "mean": found.mean,
        "classes": {str(number): value for number, value in found.classes.items()},
        "volumes": found.volumes,
        "labels": len(train),
        "steps": steps,
        "schedule": schedule,
    }
    each = ", ".join(f"class {number} {value:.3f}" for number, value in found.classes.items())
    text = (
        f"Dice {found.mean:.3f} ({each}) on {found.volumes} volumes, after {steps} steps ({schedule}) on {len(train)}"
        f" volumes with masks; boxes of {'x'.join(map(str, complete_sides(loaded)))} voxels in the middle"
    )
    return Measured(numbers, text, {**batches.faults, **asked_of.faults})


def parts_of(source: Source, labels: int | None, asked: Asked) -> tuple[Source, Source]:
    """Training volumes with masks, at most `labels` of them, and those to measure on."""
    splits = source.splits()
    name = next((part for part in ("test", "validation") if part in splits), None)
    if name is None or "train" not in splits or not source.has_targets:
        raise ValueError(
            f"{source.origin} has no masks in a training and a test part; put them in labels/ beside images/"
        )
    train, test = (
        source.subset([i for i in splits[part] if source.items[i].target is not None]) for part in ("train", name)
    )
    if labels is not None:
        train = train.subset(order(asked.seed, 0, len(train))[:labels].tolist())
    return train, test if asked.limit is None else spread(test, asked.limit)


def class_count(batches: EvaluationBatches) -> int:
    """How many classes the masks name, the background among them."""
    highest = max((int(batch[TARGET].max()) for batch in batches), default=-1)
    if highest < 1:
        raise ValueError("the masks name no class but the background; there is nothing to segment")
    return highest + 1


def complete_sides(loaded: Loaded) -> tuple[int, int, int]:
    sides = complete(loaded.config.method, loaded.config.settings)["volume_size"]
    return (sides,) * 3 if isinstance(sides, int) else tuple(sides)


class Rounds:
    """Batches of a few volumes, kept in memory, in an order that the seed decides, half of them mirrored left to right.

    Other axes are not mirrored: front and back of a body differ, and so do the classes that lie there.
    """

    def __init__(self, batches: EvaluationBatches, steps: int, seed: int):
        self.steps, self.seed = steps, seed
        kept = list(batches)
        self.whole = {key: torch.cat([batch[key] for batch in kept]) for key in kept[0] if key != "index"}

    def __iter__(self) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(self.seed)
        count = len(next(iter(self.whole.values())))
        for _ in range(self.steps):
            rows = torch.randint(count, (min(BATCH, count),), generator=generator)
            mirrored = bool(torch.rand((), generator=generator) < 0.5)
            chosen = {key: value[rows] for key, value in self.whole.items()}
            yield {k: v.flip(-3) if mirrored and v.ndim > 3 else v for k, v in chosen.items()}
