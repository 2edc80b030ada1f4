"""Pictures."""

from contextlib import suppress
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.app.kinds import channel_rows, look_under_random_masks
from unmask.app.pictures import draws, panel_of
from unmask.core import Batch, Context, Method, Recipe
from unmask.core.assembly import Argument
from unmask.data.card import DataCard, inspect
from unmask.data.picture import Picture, Unreadable
from unmask.data.source import Source
from unmask.data.sources import open_source
from unmask.data.views import EvaluationView, TrainingView

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOUN = Source.noun
PROBES: tuple[str, ...] = ("knn", "linear")
USAGE = (
    "evaluate {run} {data} --with knn,linear",
    "finetune {run} {data} --out classifier",
    "embed {run} {data} --out features.parquet",
    "export {run} --to timm --out encoder-timm",
    "export {run} --to transformers --out encoder-transformers",
    "export {run} --to onnx --out encoder.onnx",
)
INPUT = ("image", "[b c h w], standardised by `run.card.scaled(values)`")
BUILT_IN = ("digits", "photos")  # data that need no file
GRID = 12  # patches along a side that a default patch size aims at (ViT-B/16 at 224 has 14)
PATCHES = (16, 8, 4, 2)  # of two that come equally close, the larger
EIGHT_BITS = 256  # values of a pixel where they are discrete
LISTED = 5  # entries shown of a long list

__all__ = ["draws"]


def open_data(spec: str | Path, where: dict[str, Any], settings: dict[str, Any]) -> Source:
    """The pictures that `spec` names."""
    return open_source(spec, where.get("channels"))


def open_like(spec: str | Path, where: dict[str, Any], settings: dict[str, Any], card: DataCard) -> Source:
    """The pictures that `spec` names, with their channels in the order of the card's.

    Raises ValueError where a channel is missing, or the type of the values differs.
    """
    source = open_data(spec, where, settings)
    picture = _first_readable(source)
    if picture.values.dtype != card.dtype:
        raise ValueError(
            f"{source.origin} has values of {picture.values.dtype}, the run was trained on {card.dtype};"
            " give data of this type"
        )
    if picture.channels == card.channels:
        return source
    if set(card.channels) <= set(picture.channels):
        return open_source(spec, card.channels)
    raise ValueError(
        f"{source.origin} has the channels {', '.join(picture.channels)}, the run was trained on"
        f" {', '.join(card.channels)}; give data with these channels"
    )


def _first_readable(source: Source) -> Picture:
    for i in range(len(source)):
        with suppress(Unreadable):
            return source.read(i)
    raise ValueError(f"{source.origin} holds no readable picture")


def measure(source: Source, everything: bool = False) -> DataCard:
    """The data card, from a sample of the pictures or from all."""
    return inspect(source, None) if everything else inspect(source)


def card_from_json(facts: dict[str, Any]) -> DataCard:
    return DataCard.from_json(facts)


def default_sizes(card: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Picture and patch size for this data where the user names none: nothing enlarged, about 12 patches a side.

    card: of pictures, or of others with sizes.
    """
    short = min(card.sizes[1])
    size = settings.get("image_size") or (224 if short >= 224 else max(16, short // 16 * 16))
    patch = settings.get("patch_size") or min(
        PATCHES, key=lambda p: abs(_side(size) / p - GRID) + (_side(size) % p) * 99
    )
    return {"image_size": size, "patch_size": patch}


def settings_of_data(card: DataCard, known: dict[str, Argument], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings among `known` that follow from the data: sizes, channels, classes, and what pixels were and reach.

    Raises ValueError where pixels are to be discrete and are not 8-bit numbers.
    """
    lowest, highest = _range(card)
    found = {"classes": len(card.classes), "pixels_darkest": lowest, "pixels_brightest": highest}
    found |= {name: len(card.channels) for name in known if name == "channels" or name.endswith("_channels")}
    if "vocabulary" in known:
        if card.dtype != "uint8":
            raise ValueError(f"{card.origin} has values of {card.dtype}; discrete pixels are of 8 bits, uint8")
        deviations = tuple(deviation or 1.0 for deviation in card.std)
        found |= {"vocabulary": EIGHT_BITS, "levels_mean": card.mean, "levels_std": deviations}
    if "patch_size" in known:
        found |= default_sizes(card, settings)
    elif "image_size" in known:  # nothing enlarged, and no larger than the method is made for
        found["image_size"] = min(min(card.sizes[1]), _side(known["image_size"].default or min(card.sizes[1])))
    return {name: value for name, value in found.items() if name in known}


def _range(card: DataCard) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The least and the largest standardised value of every channel; those of a constant one lie 1 apart."""
    statistics = zip(card.minimum, card.maximum, card.mean, card.std, strict=True)
    pairs = [((low - mean) / (std or 1.0), (high - mean) / (std or 1.0)) for low, high, mean, std in statistics]
    return tuple(low for low, _ in pairs), tuple(high if high > low else low + 1 for low, high in pairs)


def _side(size: int | tuple[int, int]) -> int:
    return size if isinstance(size, int) else min(size)


def check(card: DataCard, settings: dict[str, Any], where: dict[str, Any]) -> None:
    """Raises ValueError where every picture, not enlarged, lies within a single patch: nothing is left to predict."""
    (height, width), patch = card.sizes[2], settings.get("patch_size")
    if where["fit"] == "pad" and patch is not None and max(height, width) <= patch:
        raise ValueError(
            f"pictures of at most {height}x{width} lie within a single patch of {patch}; use smaller patches, or fit"
            " crop, which enlarges them"
        )


def training_view(method: Method, published: Recipe, settings: dict[str, Any], where: dict[str, Any]) -> TrainingView:
    """Crops and mirrored pictures as the recipe has them; also whole ones where masks are made once per picture."""
    whole = getattr(getattr(method, "sampler", None), "refresh", None) == "image"
    return TrainingView(
        settings["image_size"],
        crop=published.crop,
        flip=published.flip,
        whole=whole,
        fit=where["fit"],
        smallest=where["smallest"],
    )


def evaluation_view(settings: dict[str, Any], where: dict[str, Any]) -> EvaluationView:
    """Pictures of the encoder's size, never masked or mirrored."""
    return EvaluationView(settings["image_size"], fit=where["fit"], smallest=where["smallest"])


look = look_under_random_masks


def panel(method: Method, batch: Batch, card: DataCard, context: Context) -> "Figure":
    """One row per picture; see `app.pictures`."""
    return panel_of(method, batch, card, context)


def described(card: DataCard) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The card for a report: facts, and one row for every channel."""
    facts = asdict(card)
    table = channel_rows(facts)
    facts.pop("sizes")
    low, middle, high = (f"{height}x{width}" for height, width in card.sizes)
    facts = {"origin": facts.pop("origin"), "sizes": f"{low} to {high}, median {middle}", **facts}
    facts |= {name: few_words(facts[name]) for name in ("duplicates", "unreadable")}
    return facts, table


def few_words(found: dict[str, str]) -> str:
    """How many, and the first of them."""
    named = "; ".join(f"{name}: {what}" for name, what in islice(found.items(), LISTED))
    return f"{len(found)} ({named}{'; ...' if len(found) > LISTED else ''})" if found else "none"
