"""Run folders: what a training writes and what every other verb reads."""

import gzip
import json
import os
import platform
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import unmask
from unmask.app.catalogue import create
from unmask.app.masking import kept, use_mask
from unmask.app.modality import modality_of
from unmask.core import Method
from unmask.data.protocols import Facts
from unmask.data.source import Source
from unmask.train.checkpoint import FOLDER, Checkpoint, all_steps, newest, open_checkpoint, write_atomically
from unmask.train.trackers import SPEED

SNAPSHOTS = "snapshots"  # the method alone, at logarithmically spaced steps
NAMES = "names.json.gz"  # name and size of every training sample
SHOWN = 5  # names given of a long list


@dataclass(frozen=True)
class Config:
    """Everything a run was asked to do, as saved in config.json and in every checkpoint.

    data: where from, which split, channels, fit, augmentation. settings: arguments of the method. plan: of the
    training. mask: what is hidden instead of the method's own choice.
    """

    method: str
    settings: dict[str, Any]
    data: dict[str, Any]
    plan: dict[str, Any]
    versions: dict[str, str]
    mask: str | None = None

    @property
    def kind(self) -> str | None:
        """Which of the method's kinds of data; None where it has but one."""
        return self.data.get("kind")

    def build(self, run: Path) -> Method:
        """The method as the run has it, with new weights."""
        method = create(self.method, **self.settings)
        mask = None if self.mask is None else kept(self.mask, run)
        if mask is not None:
            use_mask(method, mask)
        return method

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Loaded:
    """A pretrained method, ready to use, with what it was trained on."""

    method: Method
    config: Config
    card: Any
    step: int

    def features(self, batch):
        return self.method.features(batch)


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    import torchvision

    return {
        "unmask": unmask.__version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
    }


def write_json(path: Path, value: Any) -> None:
    """Writes beside and renames, so that the file is whole at any instant."""
    beside = path.with_name(path.name + ".tmp")
    beside.write_text(json.dumps(value, indent=1, default=str))
    os.replace(beside, path)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A file to write that takes the name `path` when it is whole; a place that cannot hold it is refused at once."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file to write")
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
    except OSError as error:
        raise PermissionError(f"{path} cannot be written ({error.strerror}); choose another place") from error
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_config(run: Path) -> Config:
    """Raises FileNotFoundError where the folder holds no run."""
    path = run / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{run} holds no run (no config.json); give the folder named by --out")
    return Config(**json.loads(path.read_text()))


def read_card(run: Path) -> Facts:
    """The card of the data that the run was trained on."""
    facts, config = json.loads((run / "data_card.json").read_text()), read_config(run)
    return modality_of(config.method, config.kind).card_from_json(facts)


def has_begun(run: Path) -> bool:
    """Whether the run has checkpoints, or had some: a run that ended before the first has nothing to lose."""
    speed = run / SPEED
    return bool(all_steps(run)) or (speed.is_file() and speed.stat().st_size > 0)


def check_origin(run: Path, config: Config, checkpoint: Checkpoint) -> None:
    """Raises ValueError where a checkpoint is of another method or other sizes than the run folder says."""
    theirs = checkpoint.state.get("config", {})
    for name, here in (("method", config.method), ("settings", config.settings), ("mask", config.mask)):
        there = theirs.get(name)
        if json.dumps(there, sort_keys=True) != json.dumps(here, sort_keys=True):
            raise ValueError(
                f"{checkpoint.path} is of another run: its {name} is {there}, that of {run} is {here};"
                " put the run's own checkpoints back"
            )


def write_names(run: Path, training: Source) -> None:
    """Notes which samples the run trains on, so that a later change can be named."""
    text = json.dumps({item.name: item.size for item in training.items})
    write_atomically(run / NAMES, [gzip.compress(text.encode(), mtime=0)])


def changes(run: Path, training: Source) -> str:
    """In what the training samples differ from those that the run began with: counts and a few names."""
    path = run / NAMES
    before = json.loads(gzip.decompress(path.read_bytes())) if path.is_file() else {}
    now = {item.name: item.size for item in training.items}
    found = {
        "removed": [name for name in before if name not in now],
        "added": [name for name in now if name not in before],
        "of another size": [name for name in now if name in before and now[name] != before[name]],
    }
    return ", ".join(f"{len(names)} {what}: {few(names)}" for what, names in found.items() if names)


def few(names: Sequence[str]) -> str:
    """The first names of a list."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def read_checkpoint(run: Path, step: int | None = None) -> Checkpoint:
    """The newest valid checkpoint of a run, or the snapshot of one step."""
    if step is None:
        return newest(run)
    steps = all_steps(run / SNAPSHOTS)
    if step not in steps:
        raise FileNotFoundError(
            f"{run} kept no snapshot of step {step}; there are {', '.join(map(str, steps)) or 'none'}"
        )
    return open_checkpoint(run / SNAPSHOTS / FOLDER / f"step-{step:08d}")


def load(run: str | Path, step: int | None = None, average: bool = True) -> Loaded:
    """The method of a run in eval mode, from its newest valid checkpoint or the snapshot of `step`.

    average: use the moving average of the weights where the run kept one.
    """
    run = Path(run)
    config, card = read_config(run), read_card(run)
    checkpoint = read_checkpoint(run, step)
    check_origin(run, config, checkpoint)
    for warning in checkpoint.warnings:
        warnings.warn(warning, stacklevel=2)
    method = config.build(run)
    method.load_state_dict(checkpoint.tensors("method"))
    if average and step is None and config.plan.get("ema"):
        with torch.no_grad():
            named = dict(method.named_parameters())
            for name, value in checkpoint.tensors("ema").items():
                named[name].copy_(value)
    return Loaded(method.eval(), config, card, checkpoint.step)
