"""Activations of another network."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.app.activation_plots import activation_panel
from unmask.app.kinds import look_under_own_masks, refuse_options_of_pictures
from unmask.core import Batch, Context, Method, Recipe
from unmask.core.assembly import Argument
from unmask.data.activation_card import MEASURED, ActivationCard, inspect_activations
from unmask.data.activation_views import ActivationView
from unmask.data.activations import ActivationSource, open_activations
from unmask.data.source import Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOUN = ActivationSource.noun
PROBES = ("sparsity",)
USAGE = (
    "evaluate {run} {data} --with sparsity",
    "embed {run} {data} --out latents.parquet",
    "steer {run} {data} --latent 0 --strength 5 --out steered.npy",
    "view {run} {data}",
)
INPUT = ("activation", "[b d], as the other network gives them")


def open_data(spec: str | Path, where: dict[str, Any], settings: dict[str, Any]) -> ActivationSource:
    """The rows that `spec` names."""
    if where.get("channels"):
        raise ValueError("--channels is about pictures and series; activations are taken as they are")
    return open_activations(spec)


def open_like(
    spec: str | Path, where: dict[str, Any], settings: dict[str, Any], card: ActivationCard
) -> ActivationSource:
    """The rows that `spec` names; ValueError where they have another width than those of the card."""
    source = open_data(spec, where, settings)
    if source.width != card.width:
        raise ValueError(
            f"{source.origin} holds vectors of {source.width} numbers, the run was trained on {card.width}; give"
            " activations of the same place of the same network"
        )
    return source


def measure(source: Source, everything: bool = False) -> ActivationCard:
    """The data card. everything: of all rows."""
    return inspect_activations(source, None if everything else MEASURED)


def card_from_json(facts: dict[str, Any]) -> ActivationCard:
    return ActivationCard.from_json(facts)


def settings_of_data(card: ActivationCard, known: dict[str, Argument], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings among `known` that follow from the data: the width of the vectors."""
    return {"width": card.width} if "width" in known else {}


def check(card: ActivationCard, settings: dict[str, Any], where: dict[str, Any]) -> None:
    """Raises ValueError for another width, and for what is asked of pictures only."""
    if settings.get("width", card.width) != card.width:
        raise ValueError(f"width {settings['width']} is not that of the activations, {card.width}; leave it out")
    refuse_options_of_pictures(where, "activations are taken as they are")


def training_view(method: Method, published: Recipe, settings: dict[str, Any], where: dict[str, Any]) -> ActivationView:
    return ActivationView()


def evaluation_view(settings: dict[str, Any], where: dict[str, Any]) -> ActivationView:
    return ActivationView()


look = look_under_own_masks


def draws(method: Method) -> bool:
    """Whether the method gives latents and activations back."""
    return hasattr(method, "latents") and hasattr(method, "restored")


def panel(method: Method, batch: Batch, card: ActivationCard, context: Context) -> "Figure":
    return activation_panel(method, batch)


def described(card: ActivationCard) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The card for a report: facts, and no row for channels."""
    facts = asdict(card)
    facts["unreadable"] = len(card.unreadable)
    return facts, []
