"""Measure: what `evaluate` can find of a run beside probes of its features. One module a measure, found by name."""

import importlib
import inspect
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch

from unmask.app import measures
from unmask.app.runs import Loaded
from unmask.core.assembly import Argument, parse


@dataclass(frozen=True)
class Asked:
    """On what a measure is taken. data: instead of the run's own. limit: most samples of every part, evenly spaced."""

    data: str | Path | None
    limit: int | None
    seed: int
    device: torch.device


@dataclass(frozen=True)
class Measured:
    """What a measure found: numbers as JSON holds them, the same as text, and the samples that were left out."""

    numbers: dict[str, Any]
    text: str
    faults: dict[str, str] = field(default_factory=dict)


@runtime_checkable
class Measure(Protocol):
    """A module in `app/measures`. Its options are the keyword-only arguments of `measure`."""

    def measure(self, loaded: Loaded, asked: Asked, **options: Any) -> Measured:
        """Raises ValueError where the method or the data cannot be measured in this way."""


def measure_names() -> list[str]:
    """The measures there are."""
    return sorted(module.name for module in pkgutil.iter_modules(measures.__path__))


def measure_of(name: str) -> Measure:
    return cast(Measure, importlib.import_module(f"{measures.__name__}.{name}"))


def read_options(names: Sequence[str], options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The options of every named measure. Raises ValueError for one that none of them takes, or of another type."""
    known = {name: options_of(measure_of(name)) for name in names}
    everything = sorted({option for taken in known.values() for option in taken})
    for option in options:
        if option not in everything:
            takes = f"{', '.join(names)} takes {', '.join(everything)}" if everything else "it takes none"
            raise ValueError(f"option {option!r} is unknown to what is measured; {takes}")
    return {
        name: {option: parse(value, taken[option]) for option, value in options.items() if option in taken}
        for name, taken in known.items()
    }


def options_of(module: Measure) -> dict[str, Argument]:
    """The options of a measure, by name."""
    parameters = inspect.signature(module.measure).parameters.values()
    return {
        p.name: Argument(p.name, p.annotation, p.default, module.measure.__module__)
        for p in parameters
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    }
