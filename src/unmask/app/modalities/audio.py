"""Sounds, as spectrograms."""

import math
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.app.kinds import channel_rows, look_under_random_masks
from unmask.app.modalities.image import few_words
from unmask.app.sound_plots import sound_panel
from unmask.core import Batch, Context, Method, Recipe, check_choice
from unmask.core.assembly import Argument
from unmask.data.filterbank import LENGTH, SHIFT
from unmask.data.order import order
from unmask.data.picture import Unreadable
from unmask.data.sound import SoundSource, open_sounds
from unmask.data.sound_card import MEASURED, SoundCard, inspect_sounds
from unmask.data.sound_views import SoundView
from unmask.data.source import Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOUN = SoundSource.noun
PROBES = ("knn", "linear")
USAGE = (
    "evaluate {run} {data} --with knn,linear",
    "embed {run} {data} --out features.parquet",
    "view {run} {data}",
)
INPUT = ("spectrogram", "[b 1 t f], log energies standardised by `run.card.scaled(values)`")
WINDOWS = 4  # patches: a usual number of frames is a multiple of so many


def open_data(spec: str | Path, where: dict[str, Any], settings: dict[str, Any]) -> SoundSource:
    """The sounds that `spec` names."""
    if where.get("channels"):
        raise ValueError("--channels chooses channels of pictures or columns of tables; those of sounds are mixed")
    return open_sounds(spec, settings["bands"])


def open_like(spec: str | Path, where: dict[str, Any], settings: dict[str, Any], card: SoundCard) -> SoundSource:
    """The sounds that `spec` names; says how many have another rate than the run's, to which they are brought."""
    source = open_data(spec, where, settings)
    rates = Counter[int]()
    for i in order(0, 0, len(source))[:MEASURED].tolist():
        with suppress(Unreadable):
            rates[source.read(i).rate] += 1
    other = rates.total() - rates[card.rate]
    if other:
        _warn(f"{other:,} of {rates.total():,} sounds of {spec} that were looked at are resampled to {card.rate:,} Hz")
    return source


def measure(source: Source, everything: bool = False) -> SoundCard:
    """The data card, from a sample of the sounds or from all."""
    return inspect_sounds(source, None) if everything else inspect_sounds(source)


def card_from_json(facts: dict[str, Any]) -> SoundCard:
    return SoundCard.from_json(facts)


def settings_of_data(card: SoundCard, known: dict[str, Argument], settings: dict[str, Any]) -> dict[str, Any]:
    """As many frames as nine of ten sounds have, rounded up to whole windows; at most the method's own number."""
    patch = settings.get("patch_size") or known["patch_size"].default
    frames = max(1, (card.seconds[2] - LENGTH) / SHIFT + 1)
    found = {"frames": min(math.ceil(frames / (WINDOWS * patch)) * WINDOWS * patch, known["frames"].default)}
    return {name: value for name, value in found.items() if name in known}


def check(card: SoundCard, settings: dict[str, Any], where: dict[str, Any]) -> None:
    """Says what is done to sounds of another rate. Raises ValueError for what is asked of pictures only."""
    check_choice("fit", where.get("fit", "crop"), ("crop", "pad"))
    if where.get("smallest", 1) != 1:
        raise ValueError(f"--smallest {where['smallest']} is about the sides of pictures; sounds have none")
    if not card.std[0] > 0:
        raise ValueError(f"the log energies of {card.origin} never change: there is nothing to learn")
    for what, words in card.changed.items():
        _warn(f"{what}: {words}")


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=3)


def training_view(method: Method, published: Recipe, settings: dict[str, Any], where: dict[str, Any]) -> SoundView:
    """Parts at random moments. fit "pad": what is filled up is left out of the loss."""
    return SoundView(settings["frames"], where["fit"] == "pad")


def evaluation_view(settings: dict[str, Any], where: dict[str, Any]) -> SoundView:
    """The part in the middle."""
    return SoundView(settings["frames"], where["fit"] == "pad")


look = look_under_random_masks


def draws(method: Method) -> bool:
    """Whether the method predicts hidden patches."""
    return hasattr(method, "predict") and hasattr(method, "sampler")


def panel(method: Method, batch: Batch, card: SoundCard, context: Context) -> "Figure":
    return sound_panel(method, batch, card, context)


def described(card: SoundCard) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The card for a report: facts, and the statistics of the log energies."""
    facts = asdict(card)
    table = channel_rows(facts)
    least, median, usual, most = facts.pop("seconds")
    facts["seconds"] = f"{least:.2f} to {most:.2f}, median {median:.2f}, nine of ten up to {usual:.2f}"
    facts |= {"unreadable": few_words(card.unreadable), "shortened": few_words(card.shortened)}
    return facts, table
