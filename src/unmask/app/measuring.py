"""Measuring a run on labelled data: evaluate and finetune."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from unmask.app.catalogue import card as about
from unmask.app.catalogue import recipe
from unmask.app.looking import batches_of, pictures_of
from unmask.app.measure import Asked, measure_names, measure_of, read_options
from unmask.app.modality import modality_of, require_pictures
from unmask.app.runs import Loaded, few, load, write_json
from unmask.app.watching import spread
from unmask.core import Batch
from unmask.data.source import Source
from unmask.data.stream import TrainingStream
from unmask.data.views import TrainingView
from unmask.evaluate.finetune import Classifier
from unmask.evaluate.finetune import finetune as train_classifier
from unmask.evaluate.mixing import Mixing
from unmask.evaluate.report import NAMES, Report
from unmask.evaluate.report import evaluate as probe
from unmask.evaluate.split import TEST, VALIDATION, hold_out
from unmask.interop.folder import about as description
from unmask.interop.folder import new_folder, write_tensors
from unmask.train.engine import choose_device, native_half

EVALUATION = "evaluation.json"
CROP = (0.08, 1.0)  # share of the area of a random crop in MAE's fine-tuning
UNREADABLE = 1.0  # share of the pictures that may be left out; they are named in the result


def evaluate(
    run: str | Path,
    data: str | Path | None = None,
    *,
    probes: Sequence[str] | None = None,
    seed: int = 0,
    device: str = "auto",
    limit: int | None = None,
    pixels: bool = True,
    **options: Any,
) -> Report:
    """Probes every block on labelled data, chooses the block on validation and reports its test score.

    probes: probes of features, which need labels, and measures (`app/measures`), such as "likelihood" or "forecasting";
    default: what suits the data, such as "knn" and "linear" for pictures. options: of the measures, such as `horizon`.

    data: default is the run's own. limit: most pictures of every part, evenly spaced. pixels: also probe raw pixels,
    the baseline that needs no network. The table is also saved in the
    run folder as evaluation.json, if that can be written. Raises ValueError where the data has no labels (or masks,
    for segmentation).
    """
    loaded = load(run)
    asked = Asked(data, limit, seed, choose_device(device))
    kind = modality_of(loaded.config.method, loaded.config.kind)
    probes = kind.PROBES if probes is None else probes
    known = measure_names()
    named = [name for name in probes if name in known]
    of_features = [name for name in probes if name not in known]
    _check_probes(of_features, known)
    taken = read_options(named, options)
    report, faults = Report((), {}), dict[str, str]()
    if of_features or not probes:
        report, faults = _probed(loaded, asked, of_features, pixels)
    found = {name: measure_of(name).measure(loaded, asked, **taken[name]) for name in named}
    faults |= {name: reason for measured in found.values() for name, reason in measured.faults.items()}
    report = replace(
        report,
        measures={name: measured.numbers for name, measured in found.items()},
        texts={name: measured.text for name, measured in found.items()},
    )
    if faults:
        left = f"left out {len(faults)} {kind.NOUN} that cannot be used: {few(list(faults))}"
        report = replace(report, note="; ".join(filter(None, (report.note, left))))
    try:
        write_json(Path(run) / EVALUATION, report.to_json())
    except OSError as error:
        warnings.warn(f"the table is not saved in {run} ({error.strerror})", stacklevel=2)
    return report


def _check_probes(names: Sequence[str], measures: Sequence[str]) -> None:
    for name in names:
        if isinstance(name, str) and name not in NAMES:
            raise ValueError(f"probe {name!r} is unknown; choose from {', '.join([*NAMES, *measures])}")


def _probed(loaded: Loaded, asked: Asked, probes: Sequence[str], pixels: bool) -> tuple[Report, dict[str, str]]:
    """What probes of the features find, and the samples that were left out."""
    source = pictures_of(loaded, asked.data)
    parts = {
        name: batches_of(loaded, part, targets="segmentation" in probes)
        for name, part in divided(source, loaded.config.data["split"], asked.limit).items()
    }
    report = probe(
        loaded.method,
        parts["train"],
        parts.get("validation"),
        parts.get("test"),
        probes,
        device=asked.device,
        seed=asked.seed,
        card=about(loaded.config.method),
        pixels=pixels,
    )
    return report, {name: reason for part in parts.values() for name, reason in part.faults.items()}


def finetune(
    run: str | Path,
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    epochs: int = 100,
    batch: int = 128,
    lr: float = 5e-4,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
) -> dict[str, Any]:
    """Trains the encoder of a run further, with a classifier on top, and reports the accuracy on the test part.

    The run itself stays as it is. Parts that the data lacks are held out from train, in every class.
    data: default is the run's own. out: new folder for the classifier, as safetensors and JSON.
    lr: base learning rate per 256 samples. Raises ValueError where the data has no labels.
    """
    if epochs < 1 or batch < 1:
        raise ValueError(f"epochs {epochs} and batch {batch} must be at least 1")
    loaded = load(run)
    require_pictures(loaded.config.method, "finetune")
    chosen = choose_device(device)
    source = pictures_of(loaded, data)
    parts = labelled(source, loaded.config.data["split"], seed)
    train = parts["train"]
    labels = torch.tensor([train.label(i) for i in range(len(train))])
    batch = min(batch, len(train))
    steps = max(1, round(epochs * len(train) / batch))
    stream = TrainingStream(
        train, loaded.card, _augmented(loaded), seed=seed, batch=batch, steps=steps, budget=UNREADABLE
    )
    torch.manual_seed(seed)
    with ExitStack() as stack:
        folder = None if out is None else stack.enter_context(new_folder(out))  # refused before the work, not after it
        found = train_classifier(
            loaded.method,
            Labelled(stream, labels, progress),
            batches_of(loaded, parts["validation"]),
            batches_of(loaded, parts["test"]),
            steps=steps,
            labels=labels,
            lr=lr,
            mixing=Mixing(seed=seed),
            device=chosen,
            precision=native_half(chosen),
        )
        report = {
            "metric": found.metric,
            "test": found.test,
            "validation": [list(pair) for pair in found.validation],
            "classes": list(source.classes),
            "samples": {name: len(part) for name, part in parts.items()},
            "steps": steps,
            "batch": batch,
            "seed": seed,
            "left_out": list(stream.faults),
        }
        if folder is not None:
            _save(folder, loaded, found.classifier, report)
    return report if out is None else {**report, "out": str(out)}


def _augmented(loaded: Loaded) -> TrainingView:
    where = loaded.config.data
    return TrainingView(
        loaded.config.settings["image_size"],
        crop=CROP,
        flip=recipe(loaded.config.method).flip,
        fit=where["fit"],
        smallest=where["smallest"],
    )


def _save(folder: Path, loaded: Loaded, classifier: Classifier, report: dict[str, Any]) -> None:
    """Encoder and head as model.safetensors and config.json."""
    facts = description(
        loaded.method, loaded.card, True, {"method": loaded.config.method, "classes": report["classes"]}
    )
    tensors = {
        f"{part}.{name}": value
        for part, network in (("encoder", classifier.method.get_submodule("encoder")), ("head", classifier.head))
        for name, value in network.state_dict().items()
    }
    write_tensors(folder / "model.safetensors", tensors, facts)
    write_json(folder / "config.json", {"names": "unmask", "unmask": facts, "report": report})


class Labelled:
    """The batches of a training stream with the class of every picture, and a bar while they pass."""

    def __init__(self, stream: TrainingStream, labels: torch.Tensor, progress: bool):
        self.stream, self.labels, self.progress = stream, labels, progress

    def __iter__(self) -> Iterator[Batch]:
        from tqdm import tqdm

        with tqdm(total=len(self.stream), disable=not self.progress, unit="step", dynamic_ncols=True) as bar:
            for found in self.stream:
                bar.update(1)
                yield found | {"label": self.labels[found["index"]]}


def labelled(source: Source, split: str | None, seed: int) -> dict[str, Source]:
    """Train, validation and test with the pictures that have a class; a missing part is held out from train."""
    if not source.classes:
        raise ValueError(
            f"{source.origin} has no labels, and fine-tuning needs them; put the pictures into one folder per class"
        )
    parts = {
        name: part.subset([i for i in range(len(part)) if part.label(i) >= 0])
        for name, part in divided(source, split).items()
    }
    for name, share in (("test", TEST), ("validation", VALIDATION)):
        if name not in parts:
            train = parts["train"]
            classes = torch.tensor([train.label(i) for i in range(len(train))])
            kept, held = hold_out(len(train), classes, share, seed)
            parts |= {"train": train.subset(kept.tolist()), name: train.subset(held.tolist())}
    return parts


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
