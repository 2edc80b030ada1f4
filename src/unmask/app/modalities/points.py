"""Point clouds."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.app.kinds import channel_rows, look_under_own_masks, refuse_options_of_pictures
from unmask.app.points_plots import points_panel
from unmask.core import Batch, Context, Method, Recipe
from unmask.core.assembly import Argument
from unmask.data.points import NOUN, open_points
from unmask.data.points_card import PointsCard, inspect_points
from unmask.data.points_views import PointsView
from unmask.data.source import Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROBES = ("knn", "linear")
USAGE = (
    "evaluate {run} {data} --with knn,linear",
    "embed {run} {data} --out features.parquet",
    "view {run} {data}",
)
INPUT = ("points", "[b n 3], every cloud centred and scaled into the unit sphere")
FEWEST = 64  # points of a cloud that a default asks for

__all__ = ["NOUN"]


def open_data(spec: str | Path, where: dict[str, Any], settings: dict[str, Any]) -> Source:
    """The clouds that `spec` names."""
    if where.get("channels"):
        raise ValueError(f"--channels {','.join(where['channels'])}: of point clouds the columns x, y and z are read")
    return open_points(spec)


def open_like(spec: str | Path, where: dict[str, Any], settings: dict[str, Any], card: PointsCard) -> Source:
    """The clouds that `spec` names; of any the same number of points can be drawn."""
    return open_data(spec, where, settings)


def measure(source: Source, everything: bool = False) -> PointsCard:
    """The data card, from a sample of the clouds or from all."""
    return inspect_points(source, None) if everything else inspect_points(source)


def card_from_json(facts: dict[str, Any]) -> PointsCard:
    return PointsCard.from_json(facts)


def settings_of_data(card: PointsCard, known: dict[str, Argument], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings among `known` that follow from the data: the points drawn of every cloud, a power of two.

    As many as half of the clouds have, but no more than the method is made for.
    """
    if "points" not in known:
        return {}
    usual = max(FEWEST, 1 << (card.points[1].bit_length() - 1))
    return {"points": min(usual, known["points"].default)}


def check(card: PointsCard, settings: dict[str, Any], where: dict[str, Any]) -> None:
    """Raises ValueError for what is asked of pictures only."""
    refuse_options_of_pictures(where, "of clouds `points` of them are drawn")


def training_view(method: Method, published: Recipe, settings: dict[str, Any], where: dict[str, Any]) -> PointsView:
    return PointsView(settings["points"])


def evaluation_view(settings: dict[str, Any], where: dict[str, Any]) -> PointsView:
    return PointsView(settings["points"])


look = look_under_own_masks


def draws(method: Method) -> bool:
    """Whether the method says what it sees and predicts."""
    return hasattr(method, "shown")


def panel(method: Method, batch: Batch, card: PointsCard, context: Context) -> "Figure":
    return points_panel(method, batch, context)


def described(card: PointsCard) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The card for a report: facts, and one row for every axis."""
    facts = asdict(card)
    table = channel_rows(facts, "axis")
    facts["points"] = f"{card.points[0]:,} to {card.points[2]:,}, median {card.points[1]:,}"
    return facts, table
