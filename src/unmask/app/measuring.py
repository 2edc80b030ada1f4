"""Measuring a run on labelled data: evaluate and finetune."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from unmask.app.catalogue import card as about
from unmask.app.looking import batches_of, pictures_of
from unmask.app.runs import Loaded, load, write_json
from unmask.app.watching import spread
from unmask.data.source import Source
from unmask.data.stream import EvaluationBatches
from unmask.evaluate.report import Report
from unmask.evaluate.report import evaluate as probe
from unmask.train.engine import choose_device

EVALUATION = "evaluation.json"


def evaluate(
    run: str | Path,
    data: str | Path | None = None,
    *,
    probes: Sequence[str] = ("knn", "linear"),
    seed: int = 0,
    device: str = "auto",
    limit: int | None = None,
) -> Report:
    """Probes every block on labelled data, chooses the block on validation and reports its test score.

    data: default is the run's own. limit: most pictures of every part, evenly spaced. The table is also saved in the
    run folder as evaluation.json. Raises ValueError where the data has no labels (or masks, for segmentation).
    """
    loaded = load(run)
    device_ = choose_device(device)
    source = pictures_of(loaded, data)
    parts = {
        name: batches_of(loaded, part, targets="segmentation" in probes)
        for name, part in divided(source, loaded.config.data["split"], limit).items()
    }
    report = probe(
        loaded.method, **parts, probes=probes, device=device_, seed=seed, card=about(loaded.config.method)
    )
    write_json(Path(run) / EVALUATION, report.to_json())
    return report


def divided(source: Source, split: str | None = None, limit: int | None = None) -> dict[str, Source]:
    """The parts that the data has: train, and validation and test where there are any; all as train if none.

    split: the part that stands for train.
    """
    splits = source.splits()
    train = split or "train"
    if train not in splits:
        parts = {"train": source}
    else:
        parts = {"train": source.subset(splits[train])}
        parts |= {name: source.subset(splits[name]) for name in ("validation", "test") if name in splits}
    return parts if limit is None else {name: spread(part, limit) for name, part in parts.items()}
