"""Pairs of vectors that equations give."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.app.kinds import look_under_own_masks, refuse_options_of_pictures
from unmask.app.synthetic_plots import synthetic_panel
from unmask.core import Batch, Context, Method, Recipe
from unmask.core.assembly import Argument
from unmask.data.source import Source
from unmask.data.synthetic import KINDS, SyntheticSource, open_synthetic
from unmask.data.synthetic_card import PairView, SyntheticCard, inspect_synthetic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOUN = SyntheticSource.noun
PROBES = ("theory",)
USAGE = ("evaluate {run} --with theory", "view {run}", "embed {run} --out features.parquet")
INPUT = ("vector", "[b d], as the equations give it")
BUILT_IN = tuple(KINDS)


def open_data(spec: str | Path, where: dict[str, Any], settings: dict[str, Any]) -> SyntheticSource:
    """The samples that `spec` names, such as `static:noise=0.1x2,samples=10000`. Raises ValueError for channels."""
    if where.get("channels"):
        raise ValueError("--channels names columns of files; equations say how many features there are")
    return open_synthetic(spec)


def open_like(spec: str | Path, where: dict[str, Any], settings: dict[str, Any], card: SyntheticCard) -> Source:
    """The samples that `spec` names. Raises ValueError where they have another number of features."""
    source = open_data(spec, where, settings)
    if source.channels != card.channels:
        raise ValueError(
            f"{source.origin} has {len(source.channels)} features, the run was trained on {len(card.channels)}; give"
            " equations with as many"
        )
    return source


def measure(source: Source, everything: bool = False) -> SyntheticCard:
    """The data card; all samples are measured in any case."""
    return inspect_synthetic(source)


def card_from_json(facts: dict[str, Any]) -> SyntheticCard:
    return SyntheticCard.from_json(facts)


def settings_of_data(card: SyntheticCard, known: dict[str, Argument], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings among `known` that follow from the data: the number of features."""
    return {name: value for name, value in {"features": len(card.channels)}.items() if name in known}


def check(card: SyntheticCard, settings: dict[str, Any], where: dict[str, Any]) -> None:
    """Raises ValueError for a feature with nothing to learn, and for a network of another size."""
    if card.constant:
        raise ValueError(f"{', '.join(card.constant)} of {card.origin} never changes; give it signal or noise")
    if settings.get("features", len(card.channels)) != len(card.channels):
        raise ValueError(
            f"features={settings['features']} and {card.origin} with {len(card.channels)} do not fit; leave it out"
        )
    refuse_options_of_pictures(where, "samples are as the equations give them")


def training_view(method: Method, published: Recipe, settings: dict[str, Any], where: dict[str, Any]) -> PairView:
    return PairView()


def evaluation_view(settings: dict[str, Any], where: dict[str, Any]) -> PairView:
    return PairView()


look = look_under_own_masks


def draws(method: Method) -> bool:
    """Whether the method can be compared with what a theory says of it."""
    return hasattr(method, "compared")


def panel(method: Method, batch: Batch, card: SyntheticCard, context: Context) -> "Figure":
    return synthetic_panel(method, card)


def described(card: SyntheticCard) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The card for a report: facts, and one row for every feature."""
    facts = asdict(card)
    names = ("covariance", "coefficient", "variance", "measured_covariance", "measured_coefficient")
    columns = [facts.pop(name) for name in names]
    facts.pop("partner_variance")
    table = [
        {"feature": name, **dict(zip(names, row, strict=True))}
        for name, *row in zip(facts.pop("channels"), *columns, strict=True)
    ]
    return facts, table
