"""Clips of videos."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.app.kinds import channel_rows, look_under_random_masks
from unmask.app.modalities.image import default_sizes, few_words
from unmask.app.video_plots import video_panel
from unmask.core import Batch, Context, Method, Recipe
from unmask.core.assembly import Argument
from unmask.data.source import Source
from unmask.data.video import VideoSource, open_video
from unmask.data.video_card import VideoCard, inspect_videos
from unmask.data.video_views import VideoView
from unmask.evaluate.trivial_videos import guessed_videos

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOUN = VideoSource.noun
PROBES = ("knn", "linear")
USAGE = (
    "evaluate {run} {data} --with knn,linear",
    "embed {run} {data} --out features.parquet",
    "view {run} {data}",
)
INPUT = ("video", "[b c t h w], standardised by `run.card.scaled(values)`")


def open_data(spec: str | Path, where: dict[str, Any], settings: dict[str, Any]) -> Source:
    """The videos that `spec` names."""
    if where.get("channels"):
        raise ValueError("--channels chooses channels of pictures or columns of tables; videos are red, green and blue")
    return open_video(spec)


def open_like(spec: str | Path, where: dict[str, Any], settings: dict[str, Any], card: VideoCard) -> Source:
    """The videos that `spec` names: all are red, green and blue."""
    return open_data(spec, where, settings)


def measure(source: Source, everything: bool = False) -> VideoCard:
    """The data card, from a sample of the videos or from all."""
    return inspect_videos(source, None) if everything else inspect_videos(source)


def card_from_json(facts: dict[str, Any]) -> VideoCard:
    return VideoCard.from_json(facts)


def settings_of_data(card: VideoCard, known: dict[str, Argument], settings: dict[str, Any]) -> dict[str, Any]:
    """Sizes of frames and patches as for pictures, and the stride, smaller where half of the videos are too short."""
    found = default_sizes(card, settings)
    frames, usual = (settings.get(name) or known[name].default for name in ("frames", "stride"))
    found["stride"] = max(1, min(usual, (card.frames[1] - 1) // max(frames - 1, 1)))
    return {name: value for name, value in found.items() if name in known}


def check(card: VideoCard, settings: dict[str, Any], where: dict[str, Any]) -> None:
    """Raises ValueError where no video is long enough, and for what is asked of pictures only."""
    if card.frames[2] < settings.get("frames", 16):
        raise ValueError(
            f"the longest video of {card.origin} has {card.frames[2]} frames, a clip {settings.get('frames', 16)}; set"
            " a smaller number with --set frames="
        )
    if where.get("fit", "crop") != "crop":
        raise ValueError(f"--fit {where['fit']} is about pictures; clips are always cropped")


def training_view(method: Method, published: Recipe, settings: dict[str, Any], where: dict[str, Any]) -> VideoView:
    """Clips at random moments, with one random crop each, as the recipe has them."""
    size, smallest = settings["image_size"], where["smallest"]
    return VideoView(settings["frames"], settings["stride"], size, published.crop, published.flip, smallest)


def evaluation_view(settings: dict[str, Any], where: dict[str, Any]) -> VideoView:
    """The clip in the middle of a video and of its frames."""
    return VideoView(settings["frames"], settings["stride"], settings["image_size"], smallest=where["smallest"])


look = partial(look_under_random_masks, guess=guessed_videos)


def draws(method: Method) -> bool:
    """Whether the method predicts hidden cubes."""
    return hasattr(method, "predict") and hasattr(method, "sampler")


def panel(method: Method, batch: Batch, card: VideoCard, context: Context) -> "Figure":
    return video_panel(method, batch, card, context)


def described(card: VideoCard) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The card for a report: facts, and one row for every channel."""
    facts = asdict(card)
    table = channel_rows(facts)
    low, middle, high = (f"{height}x{width}" for height, width in facts.pop("sizes"))
    facts |= {"sizes": f"{low} to {high}, median {middle}", "unreadable": few_words(card.unreadable)}
    facts |= {"shortened": few_words(card.shortened), "still": few_words(dict.fromkeys(card.still, "never changes"))}
    return facts, table
