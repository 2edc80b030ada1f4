"""VideoCard: what a set of videos is, measured once and kept with every run that trained on it."""

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from unmask.data.card_json import JsonCard
from unmask.data.card_text import byte_words, class_words, laid_out, named_few, size_words, statistics_table
from unmask.data.moments import Moments
from unmask.data.order import order
from unmask.data.picture import RGB, Picture, Unreadable
from unmask.data.source import Source
from unmask.data.video import Video
from unmask.data.video_files import VideoFile

MEASURED = 200  # videos that are opened where not all are asked for
LOOKED_AT = 4  # frames of each, at equal distances, for the statistics
UNTIMED, VARIABLE = "untimed", "variable"
Three = tuple[float, float, float]


@dataclass(frozen=True)
class VideoCard(JsonCard):
    """Counts of the whole data set, the rest of the `measured` videos.

    minimum ... std: per channel, over some frames of each. sizes: smallest, median and largest (height, width), each
    side for itself. frames, seconds: least, median and most of a video; seconds are 0 where no file tells times.
    rates: videos by frames per second, "variable" or "untimed". kinds: by codec or "strip". still: videos whose looked
    at frames are all the same. shortened: files that hold fewer frames than their header promises. bytes: of all files.
    """

    origin: str
    fingerprint: str
    count: int
    classes: tuple[str, ...]
    splits: dict[str, int]
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sizes: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    frames: tuple[int, int, int]
    seconds: Three = (0.0, 0.0, 0.0)
    rates: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    still: tuple[str, ...] = ()
    shortened: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    measured: int = 0
    bytes: int = 0
    channels: tuple[str, ...] = RGB

    @cached_property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        scale = [deviation if deviation > 0 else 1.0 for deviation in self.std]
        mean, spread = torch.tensor([self.mean, scale])[..., None, None, None]
        return mean, spread

    def scaled(self, video: Shaped[Tensor, "*batch c t h w"]) -> Float[Tensor, "*batch c t h w"]:
        """(value - mean) / std per channel; a constant channel becomes 0."""
        mean, scale = (statistic.to(video.device) for statistic in self._statistics)
        return (video.float() - mean) / scale

    def restore(self, video: Float[Tensor, "*batch c t h w"]) -> Float[Tensor, "*batch c t h w"]:
        """Standardised values back in 0 to 255."""
        mean, scale = (statistic.to(video.device) for statistic in self._statistics)
        return video * scale + mean

    def check_uniform(self) -> None:
        """Clips of one set always fit together: every one is cut to the same size and length."""

    def to_text(self, view=None, estimate: str | None = None) -> str:
        """The card for people. view: the training view, which says what it would do. estimate: e.g. of the time."""
        rows = [
            ("data", self.origin),
            ("videos", f"{self.count:,} ({byte_words(self.bytes)}); measured {self.measured:,}"),
            ("classes", class_words(self)),
            ("splits", ", ".join(f"{name} {count:,}" for name, count in self.splits.items()) or "none"),
            ("kinds", _counted(self.kinds)),
            ("sizes", size_words(self)),
            ("frames", f"{self.frames[0]:,} to {self.frames[2]:,}, median {self.frames[1]:,}"),
            ("rates", f"{_counted(self.rates)} (frames per second)"),
        ]
        if self.seconds[2]:
            rows.append(("seconds", "{:.1f} to {:.1f}, median {:.1f}".format(*(self.seconds[i] for i in (0, 2, 1)))))
        if self.still:
            rows.append(("still", named_few(dict.fromkeys(self.still, "never changes"), "")))
        if self.shortened:
            rows.append(("shortened", named_few(self.shortened, "")))
        rows.append(("unreadable", named_few(self.unreadable, "") or f"none among {self.measured:,}"))
        return laid_out(self, rows, view, estimate, statistics_table(self))


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} x {name}" for name, count in counts.items())


def inspect_videos(source: Source, limit: int | None = MEASURED) -> VideoCard:
    """The card of a data set, measured on all its videos or on `limit` of them."""
    places = range(len(source)) if limit is None else order(0, 0, len(source))[:limit].tolist()
    moments, kinds, rates = Moments(3), Counter[str](), Counter[str]()
    unreadable, shortened, still = dict[str, str](), dict[str, str](), list[str]()
    sizes, frames, seconds = list[tuple[int, int]](), list[int](), list[float]()
    for i in places:
        name = source.items[i].name
        try:
            video = source.read(i)
            shown = video.frames(np.linspace(0, video.count - 1, LOOKED_AT).round().astype(int).tolist())
        except Unreadable as error:
            unreadable[name] = error.reason
            continue
        moments.add(Picture(shown.reshape(-1, *shown.shape[2:]), RGB))
        sizes.append((video.height, video.width))
        frames.append(video.count)
        kind, rate, length = _timing(video)
        kinds[kind] += 1
        rates[rate] += 1
        seconds += [length] if length else []
        if (shown == shown[:1]).all():
            still.append(name)
        if isinstance(video, VideoFile) and video.index.declared > video.count:
            shortened[name] = f"holds {video.count} frames, its header promises {video.index.declared}"
    if not frames:
        name, reason = next(iter((unreadable | source.refused).items()))
        raise ValueError(f"none of {len(unreadable)} videos of {source.origin} can be read; {name} {reason}")
    table = np.array(sizes)
    return VideoCard(
        origin=source.origin,
        fingerprint=source.fingerprint(),
        count=len(source),
        classes=source.classes,
        splits={name: len(places) for name, places in source.splits().items()},
        minimum=tuple(moments.minimum.tolist()),
        maximum=tuple(moments.maximum.tolist()),
        mean=tuple(moments.mean.tolist()),
        std=tuple(moments.std.tolist()),
        sizes=tuple((int(of[0]), int(of[1])) for of in (table.min(0), np.median(table, 0), table.max(0))),  # type: ignore[arg-type]
        frames=(min(frames), int(np.median(frames)), max(frames)),
        seconds=(min(seconds), float(np.median(seconds)), max(seconds)) if seconds else (0.0, 0.0, 0.0),
        rates=dict(rates.most_common()),
        kinds=dict(kinds.most_common()),
        still=tuple(still),
        shortened=shortened,
        unreadable=unreadable | source.refused,
        measured=len(frames) + len(unreadable),
        bytes=sum(item.size for item in source.items),
    )


def _timing(video: Video) -> tuple[str, str, float]:
    """Kind, rate in words, and seconds (0 where unknown) of one video."""
    if not isinstance(video, VideoFile):
        return type(video).__name__.lower(), UNTIMED, 0.0
    index = video.index
    rate = f"{1 / index.period:.4g}" if index.period else UNTIMED
    return index.codec, VARIABLE if index.variable else rate, float(index.times[-1]) + index.period
