"""Rasters: multi-band scenes of places, at one date or several."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.app.kinds import channel_rows, look_under_own_masks, refuse_options_of_pictures
from unmask.app.raster_plots import raster_panel
from unmask.core import Batch, Context, Method, Recipe
from unmask.core.assembly import Argument
from unmask.data.raster import RasterSource, open_rasters
from unmask.data.raster_card import RasterCard, inspect_rasters
from unmask.data.raster_views import RasterView
from unmask.data.source import Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOUN = RasterSource.noun
PROBES = ("knn", "linear")
USAGE = (
    "evaluate {run} {data} --with knn,linear",
    "embed {run} {data} --out features.parquet",
    "view {run} {data}",
)
INPUT = ("raster", "[b t c h w], standardised by `run.card.scaled(values)`; with moment [b t 3] for several dates")
PATCHES = (8, 4, 2)  # of sizes that divide a scene into at least four a side, the largest
SENTINEL = (("B02", "B03", "B04", "B08"), ("B05", "B06", "B07", "B8A"), ("B11", "B12"))  # groups of Sentinel-2's bands


def open_data(spec: str | Path, where: dict[str, Any], settings: dict[str, Any]) -> RasterSource:
    """The windows of the places that `spec` names, as large as the method's pictures, by date or with all dates."""
    return open_rasters(spec, settings["image_size"], settings.get("dates", 1) > 1, where.get("channels"))


def open_like(spec: str | Path, where: dict[str, Any], settings: dict[str, Any], card: RasterCard) -> RasterSource:
    """The windows of `spec`, their bands in the order of the card's; others are refused one by one."""
    return open_rasters(spec, settings["image_size"], settings.get("dates", 1) > 1, card.channels)


def measure(source: Source, everything: bool = False) -> RasterCard:
    """The data card, from a sample of the windows or from all."""
    return inspect_rasters(source, everything)


def card_from_json(facts: dict[str, Any]) -> RasterCard:
    return RasterCard.from_json(facts)


def settings_of_data(card: RasterCard, known: dict[str, Argument], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings among `known` that follow from the data: sizes, bands, and their groups."""
    size = settings.get("image_size", card.tile)
    patch = next((p for p in PATCHES if size % p == 0 and size // p >= 4), 1)
    found = {
        "image_size": size,
        "patch_size": patch,
        "channels": len(card.channels),
        "groups": groups_of(card.channels),
    }
    return {name: value for name, value in found.items() if name in known}


def groups_of(channels: tuple[str, ...]) -> str:
    """The published groups of the bands of Sentinel-2 where they have these names, else all in one."""
    number = {name.upper(): i for i, name in enumerate(channels)}
    if all(name in number for group in SENTINEL for name in group):
        return "/".join(",".join(str(number[name]) for name in group) for group in SENTINEL)
    return ",".join(map(str, range(len(channels))))


def check(card: RasterCard, settings: dict[str, Any], where: dict[str, Any]) -> None:
    """Raises ValueError for bands with nothing to learn, for dates that are not there, and what is of pictures only."""
    dates = settings.get("dates", 1)
    if card.constant:
        raise ValueError(
            f"{', '.join(card.constant[:4])} of {card.origin} is the same everywhere; name the others with --channels"
        )
    if dates > 1 and card.dates[2] < 2:
        raise ValueError(
            f"every place of {card.origin} has a single date, and dates={dates} was asked for; set dates=1"
        )
    if dates > 1 and not card.first:
        raise ValueError(
            f"not every date of {card.origin} is known; name files such as PLACE_20150711.tif, or add an array of dates"
        )
    refuse_options_of_pictures(where, "scenes are cut into windows")


def training_view(method: Method, published: Recipe, settings: dict[str, Any], where: dict[str, Any]) -> RasterView:
    return RasterView(settings["image_size"], settings.get("dates", 1), published.crop, published.flip)


def evaluation_view(settings: dict[str, Any], where: dict[str, Any]) -> RasterView:
    return RasterView(settings["image_size"], settings.get("dates", 1))


look = look_under_own_masks


def draws(method: Method) -> bool:
    """Whether the method says what it sees and predicts."""
    return hasattr(method, "views")


def panel(method: Method, batch: Batch, card: RasterCard, context: Context) -> "Figure":
    return raster_panel(method, batch, card, context)


def described(card: RasterCard) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The card for a report: facts, and one row for every band."""
    facts = asdict(card)
    table = channel_rows(facts, "band")
    facts["dates"] = f"{card.dates[0]} to {card.dates[2]}, median {card.dates[1]}"
    facts["unreadable"] = "; ".join(f"{name} {why}" for name, why in list(card.unreadable.items())[:5]) or "none"
    return facts, table
