"""Systems of several stages: `tokenizer=RUN` takes that part, its settings and weights, from another method's run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unmask.app.catalogue import builder, complete, find
from unmask.app.runs import load, read_card, read_config
from unmask.core import Method
from unmask.core.assembly import arguments_of_part, parts_of, read_settings

Settings = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """A part that was trained by another run: its settings there, and the card of the data that it saw."""

    run: Path
    settings: Settings
    card: Any


def named_runs(method: str, settings: Settings) -> tuple[Settings, dict[str, Path]]:
    """The plain settings, and the parts that are named by a run."""
    parts = parts_of(builder(method))
    runs = {name: Path(value) for name, value in settings.items() if name in parts}
    plain = {name: value for name, value in settings.items() if name not in parts}
    return read_settings(builder(method), plain), runs


def open_stages(
    method: str, settings: Settings, runs: Mapping[str, Path], needed: bool = True
) -> tuple[Settings, dict[str, Stage]]:
    """The settings with those of the stages, and the stages.

    needed: whether a part that the method wants trained must be named. Raises ValueError, with one sentence, where a
    run does not have such a part or where settings contradict it.
    """
    for name, slug in getattr(find(method), "STAGES", {}).items():
        if needed and name not in runs:
            raise ValueError(
                f"{method} needs a trained {name}: pretrain one with --method {slug} and name its run with"
                f" --set {name}=RUN"
            )
    stages = {name: _open(method, name, run, settings) for name, run in runs.items()}
    for stage in stages.values():
        settings = {**settings, **stage.settings}
    return settings, stages


def _open(method: str, name: str, run: Path, settings: Settings) -> Stage:
    config = read_config(run)
    wanted, theirs = parts_of(builder(method))[name], parts_of(builder(config.method))
    if theirs.get(name) is not wanted:
        raise ValueError(
            f"{run} is a run of {config.method}, which has no {name} that {method} can take; name the run of a method"
            f" with one, such as {getattr(find(method), 'STAGES', {}).get(name, method)}"
        )
    everything = complete(config.method, config.settings)
    found = {key: everything[key] for key in arguments_of_part(builder(config.method), name)}
    found = read_settings(builder(config.method), found)
    for key, value in found.items():
        if key in settings and settings[key] != value:
            raise ValueError(f"{key}={settings[key]} contradicts {run}, where it is {value}; leave it out")
    return Stage(run, found, read_card(run))


def restated(stages: Mapping[str, Stage], card: Any, following: Settings) -> Settings:
    """The range of the pixels that the stages saw, in the units of the new card, so that ids stay the same.

    following: the settings that follow from the new data; those of a range are restated.
    """
    found: Settings = {}
    for stage in stages.values():
        for key, values in (("pixels_darkest", stage.card.minimum), ("pixels_brightest", stage.card.maximum)):
            if key in following:
                statistics = zip(values, card.mean, card.std, strict=True)
                found[key] = tuple((value - mean) / (std or 1.0) for value, mean, std in statistics)
    return found


def take(method: Method, name: str, run: Path) -> str:
    """Fills a part of the method with the weights of the run; says so."""
    loaded = load(run)
    method.get_submodule(name).load_state_dict(loaded.method.get_submodule(name).state_dict())
    return f"takes its {name} from {run}, step {loaded.step}"
