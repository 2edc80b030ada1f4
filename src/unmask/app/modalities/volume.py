"""Volumes, such as magnetic resonance images."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.app.kinds import channel_rows, look_under_own_masks, refuse_options_of_pictures
from unmask.app.volume_plots import volume_panel
from unmask.core import Batch, Context, Method, Recipe
from unmask.core.assembly import Argument
from unmask.data.source import Source
from unmask.data.volumes import NOUN, open_volumes
from unmask.data.volumes_card import VolumesCard, inspect_volumes
from unmask.data.volumes_views import VolumeView

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROBES = ("dice",)
USAGE = (
    "evaluate {run} {data} --with dice",
    "embed {run} {data} --out features.parquet",
    "view {run} {data}",
)
INPUT = ("volume", "[b c x y z], every volume (value - mean) / std by its own statistics")
STEP = 16  # sides of boxes that a default takes are multiples of this

__all__ = ["NOUN"]


def open_data(spec: str | Path, where: dict[str, Any], settings: dict[str, Any]) -> Source:
    """The volumes that `spec` names."""
    if where.get("channels"):
        raise ValueError(f"--channels {','.join(where['channels'])}: the channels of volumes have no names")
    return open_volumes(spec)


def open_like(spec: str | Path, where: dict[str, Any], settings: dict[str, Any], card: VolumesCard) -> Source:
    """The volumes that `spec` names; those with another number of channels are left out when they are read."""
    return open_data(spec, where, settings)


def measure(source: Source, everything: bool = False) -> VolumesCard:
    """The data card, from a sample of the volumes or from all."""
    return inspect_volumes(source, None) if everything else inspect_volumes(source)


def card_from_json(facts: dict[str, Any]) -> VolumesCard:
    return VolumesCard.from_json(facts)


def settings_of_data(card: VolumesCard, known: dict[str, Argument], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings among `known` that follow from the data: channels, and boxes that hold the median volume.

    They are filled up to multiples of 16 voxels and no larger than the method is made for.
    """
    most = known["volume_size"].default if "volume_size" in known else STEP
    sides = [float(side) for side in card.sizes[1]]
    if settings.get("spacing"):
        sides = [n * length / settings["spacing"] for n, length in zip(sides, card.spacings[1], strict=True)]
    box = tuple(min(max(STEP, -(-int(side + 0.999) // STEP) * STEP), most) for side in sides)
    found = {"channels": len(card.channels), "volume_size": box}
    return {name: value for name, value in found.items() if name in known}


def check(card: VolumesCard, settings: dict[str, Any], where: dict[str, Any]) -> None:
    """Raises ValueError for what is asked of pictures only."""
    refuse_options_of_pictures(where, "boxes of volumes are set by volume_size")


def training_view(method: Method, published: Recipe, settings: dict[str, Any], where: dict[str, Any]) -> VolumeView:
    return VolumeView(_sides(settings), settings.get("spacing"), published.flip)


def evaluation_view(settings: dict[str, Any], where: dict[str, Any]) -> VolumeView:
    return VolumeView(_sides(settings), settings.get("spacing"), flip=False)


def _sides(settings: dict[str, Any]) -> tuple[int, int, int]:
    size = settings["volume_size"]
    i, j, k = (size,) * 3 if isinstance(size, int) else size
    return i, j, k


look = look_under_own_masks


def draws(method: Method) -> bool:
    """Whether the method says what it sees and predicts."""
    return hasattr(method, "shown")


def panel(method: Method, batch: Batch, card: VolumesCard, context: Context) -> "Figure":
    return volume_panel(method, batch, context)


def described(card: VolumesCard) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The card for a report: facts, and one row for every channel."""
    facts = asdict(card)
    table = channel_rows(facts)
    facts.pop("sizes")
    facts.pop("spacings")
    low, middle, high = ("x".join(map(str, size)) for size in card.sizes)
    return {"origin": facts.pop("origin"), "sizes": f"{low} to {high}, median {middle}", **facts}, table
