"""Run folders: what a training writes and what every other verb reads."""

import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import unmask
from unmask.app.catalogue import create
from unmask.core import Method
from unmask.data.card import DataCard
from unmask.train.checkpoint import FOLDER, Checkpoint, all_steps, newest, open_checkpoint

SNAPSHOTS = "snapshots"  # the method alone, at logarithmically spaced steps


@dataclass(frozen=True)
class Config:
    """Everything a run was asked to do, as saved in config.json and in every checkpoint.

    data: where from, which split, channels, fit, augmentation. settings: arguments of the method. plan: of the
    training.
    """

    method: str
    settings: dict[str, Any]
    data: dict[str, Any]
    plan: dict[str, Any]
    versions: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Loaded:
    """A pretrained method, ready to use, with what it was trained on."""

    method: Method
    config: Config
    card: DataCard
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


def read_config(run: Path) -> Config:
    """Raises FileNotFoundError where the folder holds no run."""
    path = run / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{run} holds no run (no config.json); give the folder named by --out")
    return Config(**json.loads(path.read_text()))


def read_card(run: Path) -> DataCard:
    return DataCard.from_json(json.loads((run / "data_card.json").read_text()))


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
    method = create(config.method, **config.settings)
    method.load_state_dict(checkpoint.tensors("method"))
    if average and step is None and config.plan.get("ema"):
        with torch.no_grad():
            named = dict(method.named_parameters())
            for name, value in checkpoint.tensors("ema").items():
                named[name].copy_(value)
    return Loaded(method.eval(), config, card, checkpoint.step)
