"""Windows of recorded control: states and the actions that followed them."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from unmask.app.kinds import channel_rows, look_under_own_masks, refuse_options_of_pictures
from unmask.app.series_plots import curves
from unmask.core import Batch, Context, Method, Recipe
from unmask.core.assembly import Argument
from unmask.data.recording import CONTROLLERS
from unmask.data.source import Source
from unmask.data.trajectories import TrajectorySource, open_trajectories
from unmask.data.trajectory_card import TrajectoryCard, TrajectoryView, inspect_trajectories

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOUN = TrajectorySource.noun
PROBES = ("goals",)
USAGE = (
    "evaluate {run} {data} --with goals",
    "evaluate {run} {data} --with rollouts",
    "embed {run} {data} --out features.parquet",
    "view {run} {data}",
)
INPUT = ("state, action", "[b t s] and [b t a], scaled side by side by `run.card.scaled(values)`")
BUILT_IN = tuple(CONTROLLERS)  # recorded anew from their words
DRAWN = (2, 2)  # states and actions drawn of every window


def open_data(spec: str | Path, where: dict[str, Any], settings: dict[str, Any]) -> TrajectorySource:
    """The windows of the recordings that `spec` names, as long as the method's. Raises ValueError for channels."""
    if where.get("channels"):
        raise ValueError("--channels names columns of tables; states and actions are taken whole")
    return open_trajectories(spec, settings["length"])


def open_like(
    spec: str | Path, where: dict[str, Any], settings: dict[str, Any], card: TrajectoryCard
) -> TrajectorySource:
    """The windows of the recordings that `spec` names. Raises ValueError where states or actions are of other sizes."""
    source = open_data(spec, where, settings)
    if source.channels != card.channels:
        raise ValueError(
            f"{source.origin} has {source.states} numbers a state and {source.actions} an action, the run was trained"
            f" on {card.states} and {len(card.channels) - card.states}; give recordings of the same task"
        )
    return source


def measure(source: Source, everything: bool = False) -> TrajectoryCard:
    """The data card; all training episodes are measured in any case."""
    return inspect_trajectories(source)


def card_from_json(facts: dict[str, Any]) -> TrajectoryCard:
    return TrajectoryCard.from_json(facts)


def settings_of_data(card: TrajectoryCard, known: dict[str, Argument], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings among `known` that follow from the data: steps of a window, numbers of a state and an action."""
    found = {"length": card.length, "states": card.states, "actions": len(card.channels) - card.states}
    return {name: value for name, value in found.items() if name in known}


def check(card: TrajectoryCard, settings: dict[str, Any], where: dict[str, Any]) -> None:
    """Raises ValueError where no action ever changes, and for what is asked of pictures only."""
    if set(card.channels[card.states :]) <= set(card.constant):
        raise ValueError(f"no action of {card.origin} ever changes; there is nothing to learn of how to act")
    refuse_options_of_pictures(where, "windows of recordings are taken as they are")


def training_view(method: Method, published: Recipe, settings: dict[str, Any], where: dict[str, Any]) -> TrajectoryView:
    return TrajectoryView()


def evaluation_view(settings: dict[str, Any], where: dict[str, Any]) -> TrajectoryView:
    return TrajectoryView()


look = look_under_own_masks


def draws(method: Method) -> bool:
    """Whether the method says what its views see and predict."""
    return hasattr(method, "views")


def panel(method: Method, batch: Batch, card: TrajectoryCard, context: Context) -> "Figure":
    """The first states and actions of every window, that change."""
    moving = [i for i, name in enumerate(card.channels) if name not in card.constant]
    states, actions = ([i for i in moving if (i >= card.states) == later] for later in (False, True))
    shown = states[: DRAWN[0]] + actions[: DRAWN[1]]
    return curves(method, batch, torch.cat([batch["state"], batch["action"]], 2), card, context, shown, "steps")


def described(card: TrajectoryCard) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The card for a report: facts, and one row for every channel."""
    facts = asdict(card)
    return facts, channel_rows(facts)
