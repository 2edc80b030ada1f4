"""Modality: what the verbs ask of a kind of data. One module a kind, named by the card of the methods that use it."""

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import torch

from unmask.app.catalogue import card as about
from unmask.app.catalogue import slugs
from unmask.core import Batch, Context, Method, Recipe
from unmask.core.assembly import Argument
from unmask.data.protocols import Drawing, Facts, Showing
from unmask.data.source import Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Settings = dict[str, Any]


@runtime_checkable
class Modality(Protocol):
    """NOUN: what samples are called. PROBES: what `evaluate` measures where nothing is named. USAGE: what can be done
    with a run, as commands. INPUT: key, axes and meaning of what a network gets. A kind with data that need no file
    names them in BUILT_IN.

    where: how the data is read, as a run keeps it (channels, fit, ...). settings: arguments of the method.
    """

    NOUN: str
    PROBES: tuple[str, ...]
    USAGE: tuple[str, ...]
    INPUT: tuple[str, str]

    def open_data(self, spec: str | Path, where: Settings, settings: Settings) -> Source:
        """The data set that `spec` names."""

    def open_like(self, spec: str | Path, where: Settings, settings: Settings, card: Any) -> Source:
        """The data set in the form of the one of `card`; ValueError where it cannot be brought into it."""

    def measure(self, source: Source, everything: bool = False) -> Facts:
        """The data card. everything: of every sample, where a part would do."""

    def card_from_json(self, facts: Settings) -> Facts: ...

    def settings_of_data(self, card: Any, known: dict[str, Argument], settings: Settings) -> Settings:
        """The settings among `known` that follow from the data."""

    def check(self, card: Any, settings: Settings, where: Settings) -> None:
        """Raises ValueError where this data cannot be trained on in this way."""

    def training_view(self, method: Method, published: Recipe, settings: Settings, where: Settings) -> Drawing: ...

    def evaluation_view(self, settings: Settings, where: Settings) -> Showing: ...

    def look(
        self,
        method: Method,
        batches: Iterable[Batch],
        seed: int,
        device: torch.device,
        context: Context,
        references: Iterable[Batch] | None,
    ) -> dict[str, float]:
        """How well the method does on data that it has not trained on; see `evaluate.monitor`."""

    def draws(self, method: Method) -> bool:
        """Whether there is anything to draw of this method."""

    def panel(self, method: Method, batch: Batch, card: Any, context: Context) -> "Figure":
        """What the method sees and predicts of the first samples; asked only where it `draws`."""

    def described(self, card: Any) -> tuple[Settings, list[Settings]]:
        """The card for a report: facts, and one row for every channel."""


def require_pictures(slug: str, what: str, others: Iterable[str] = ()) -> None:
    """Raises ValueError for a method of other data; `what` is the verb that asks. others: kinds that do as well."""
    if about(slug).data not in ("image", *others):
        raise ValueError(f"{slug} works on {modality_of(slug).NOUN}, and {what} is for pictures")


def modality(kind: str) -> Modality:
    """The module of this kind of data."""
    return cast(Modality, importlib.import_module(f"unmask.app.modalities.{kind}"))


def modality_of(slug: str, kind: str | None = None) -> Modality:
    """The module of the kind of data that a method works on; a run of a system that is gone can still be reported.

    kind: of the kinds of a method that works on several, the one that is meant; default: its first.
    """
    return modality(kind or (about(slug).data if slug in slugs() else "image"))


def kind_of(slug: str, data: str | Path) -> str | None:
    """Of the kinds of data that a method works on, the first that claims DATA, else the last; None if it has but one.

    A kind that another can be taken for offers `holds(spec)`, which goes by the names of the files.
    """
    card = about(slug)
    kinds = (card.data, *card.also)
    claims = (kind for kind in kinds[:-1] if modality(kind).holds(data))  # type: ignore[attr-defined]
    return next(claims, kinds[-1]) if card.also else None
