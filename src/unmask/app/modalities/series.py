"""Windows of time series."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.app.kinds import channel_rows, look_under_own_masks, refuse_options_of_pictures
from unmask.app.series_plots import series_panel
from unmask.core import Batch, Context, Method, Recipe
from unmask.core.assembly import Argument
from unmask.data.series import SeriesSource, open_series
from unmask.data.series_card import SeriesCard, inspect_series
from unmask.data.series_views import SeriesView
from unmask.data.source import Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOUN = SeriesSource.noun
PROBES = ("forecasting",)
USAGE = (
    "evaluate {run} {data} --with forecasting --horizon 96",
    "embed {run} {data} --out features.parquet",
    "view {run} {data}",
)
INPUT = ("series", "[b t c], standardised by `run.card.scaled(values)`")


def open_data(spec: str | Path, where: dict[str, Any], settings: dict[str, Any]) -> SeriesSource:
    """The windows of the series that `spec` names, as long as the method's."""
    return open_series(spec, settings["length"], 0, where.get("channels"))


def open_like(spec: str | Path, where: dict[str, Any], settings: dict[str, Any], card: SeriesCard) -> SeriesSource:
    """The windows of the series that `spec` names.

    Raises ValueError where a network that was made for a number of channels would get another.
    """
    source = open_data(spec, where, settings)
    if "channels" in settings and source.channels != card.channels:
        raise ValueError(
            f"{source.origin} has the channels {', '.join(source.channels)}, the run was trained on"
            f" {', '.join(card.channels)}; give data with these channels"
        )
    return source


def measure(source: Source, everything: bool = False) -> SeriesCard:
    """The data card; all training rows are measured in any case."""
    return inspect_series(source)


def card_from_json(facts: dict[str, Any]) -> SeriesCard:
    return SeriesCard.from_json(facts)


def settings_of_data(card: SeriesCard, known: dict[str, Argument], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings among `known` that follow from the data: rows of a window, and channels."""
    found = {"length": card.length, "channels": len(card.channels)}
    return {name: value for name, value in found.items() if name in known}


def check(card: SeriesCard, settings: dict[str, Any], where: dict[str, Any]) -> None:
    """Raises ValueError for channels with nothing to learn, and for what is asked of pictures only."""
    if card.constant:
        raise ValueError(
            f"{', '.join(card.constant)} of {card.origin} never changes in the training rows; name the other columns"
            " with --channels"
        )
    refuse_options_of_pictures(where, "windows of time series are taken as they are")


def training_view(method: Method, published: Recipe, settings: dict[str, Any], where: dict[str, Any]) -> SeriesView:
    return SeriesView(settings["length"])


def evaluation_view(settings: dict[str, Any], where: dict[str, Any]) -> SeriesView:
    return SeriesView(settings["length"])


look = look_under_own_masks


def draws(method: Method) -> bool:
    """Whether the method says what its views see and predict."""
    return hasattr(method, "views")


def panel(method: Method, batch: Batch, card: SeriesCard, context: Context) -> "Figure":
    return series_panel(method, batch, card, context)


def described(card: SeriesCard) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The card for a report: facts, and one row for every channel."""
    facts = asdict(card)
    table = channel_rows(facts)
    facts["rows"] = {name: " + ".join(map(str, counts)) for name, counts in card.rows.items()}
    return facts, table
