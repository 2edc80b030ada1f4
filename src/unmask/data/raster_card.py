"""RasterCard: what a set of rasters is, measured once and kept with every run that trained on it."""

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from unmask.data.card_json import JsonCard
from unmask.data.card_text import laid_out
from unmask.data.moments import Moments
from unmask.data.order import order
from unmask.data.picture import Picture, Unreadable
from unmask.data.raster import RasterSource
from unmask.data.source import Source
from unmask.data.values import whole_of

MOST_ROWS = 16  # of bands and reasons before the rest is counted
MEASURED = 1000  # windows, each at every one of at most DATES dates
DATES = 4


@dataclass(frozen=True)
class RasterCard(JsonCard):
    """Counts of the windows, and statistics of the measured ones in the units of the files.

    places: how many. tile: side of a window in pixels. used: share of the pixels that lie in one. dates: least, median
    and most of a place. first, last: the earliest and latest date, "" where not all are known. missing: of the pixels.
    """

    origin: str
    fingerprint: str
    count: int
    classes: tuple[str, ...]
    splits: dict[str, int]
    places: int
    tile: int
    used: float
    dates: tuple[int, int, int]
    first: str
    last: str
    channels: tuple[str, ...]
    dtype: str
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    missing: float = 0.0
    measured: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def constant(self) -> tuple[str, ...]:
        """Bands that are the same everywhere."""
        return tuple(name for name, std in zip(self.channels, self.std, strict=True) if not std > 0)

    @cached_property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        scale = [deviation if deviation > 0 else 1.0 for deviation in self.std]
        mean, spread = torch.tensor([self.mean, scale], dtype=torch.float64)[..., None, None]
        return mean, spread

    def scaled(self, raster: Shaped[Tensor, "*batch c h w"]) -> Float[Tensor, "*batch c h w"]:
        """(value - mean) / std per band; a constant band becomes 0."""
        mean, scale = self._statistics
        return ((raster - mean) / scale).float()

    def restore(self, raster: Float[Tensor, "*batch c h w"]) -> Float[Tensor, "*batch c h w"]:
        """Standardised values back in the units of the files."""
        mean, scale = self._statistics
        return raster * scale.to(raster) + mean.to(raster)

    def check_picture(self, picture: Picture) -> None:
        """Raises Unreadable for other bands or another type than this card's."""
        if picture.channels != self.channels or str(picture.dtype) != self.dtype:
            wanted = f"{len(self.channels)} band(s) of {self.dtype}"
            raise Unreadable(
                f"has {len(picture.channels)} band(s) of {picture.dtype}; the data set has {wanted}, named alike"
            )

    def check_uniform(self) -> None:
        """All windows have one size; other bands are refused one by one."""

    def to_text(self, view=None, estimate: str | None = None) -> str:
        """The card for people. view: the training view, which says what it would do. estimate: e.g. of the time."""
        least, middle, most = self.dates
        spread = f"{most}" if least == most else f"{least} to {most}, median {middle}"
        span = f", from {self.first} to {self.last}" if self.first else ", not told by files or names"
        rows = [
            ("data", self.origin),
            ("scenes", f"{self.count:,} windows of {self.tile}x{self.tile} pixels in {self.places:,} place(s)"),
            ("", f"{self.used:.1%} of the pixels lie in a window"),
            ("dates", f"{spread} a place{span}"),
            ("classes", f"{len(self.classes)}: {', '.join(self.classes[:MOST_ROWS])}" if self.classes else "none"),
            ("splits", ", ".join(f"{name} {count:,}" for name, count in self.splits.items()) or "none"),
            ("bands", f"{len(self.channels)} of {self.dtype}"),
            ("missing", f"{self.missing:.2%} of the pixels (not a number, or no data)" if self.missing else "none"),
        ]
        rows += [("constant", ", ".join(self.constant))] * bool(self.constant)
        for i, (name, reason) in enumerate(list(self.unreadable.items())[:MOST_ROWS]):
            rows.append((f"unusable {len(self.unreadable)}" if i == 0 else "", f"{name} {reason}"))
        return laid_out(self, rows, view, estimate, self._table())

    def _table(self) -> list[str]:
        width = max(7, *(len(name) for name in self.channels))
        lines = [
            f"{'band':<{width}} {'minimum':>12} {'maximum':>12} {'mean':>12} {'std':>12}  ({self.measured} measured)"
        ]
        columns = list(zip(self.channels, self.minimum, self.maximum, self.mean, self.std, strict=True))
        for name, *numbers in columns[:MOST_ROWS]:
            lines.append(f"{name:<{width}} " + " ".join(f"{number:>12.6g}" for number in numbers))
        return lines + [f"... and {len(columns) - MOST_ROWS} more"] * (len(columns) > MOST_ROWS)


def inspect_rasters(source: Source, everything: bool = False) -> RasterCard:
    """The card of the windows of `source`. everything: measure every window, where a part would do."""
    whole = whole_of(source, RasterSource)
    chosen = range(len(source)) if everything else order(0, 0, len(source))[:MEASURED].tolist()
    found: dict[tuple[tuple[str, ...], str], Moments] = {}
    kinds: Counter[tuple[tuple[str, ...], str]] = Counter()
    unreadable: dict[str, str] = dict(whole.refused)
    for i in chosen:
        try:
            window = source.read(i)
            step = 1 if everything else -(-len(window.dates) // DATES)
            for date in range(0, len(window.dates), step):
                picture = window.read(date)
                kind = (picture.channels, str(picture.dtype))
                found.setdefault(kind, Moments(len(picture.channels))).add(picture)
                kinds[kind] += 1
        except Unreadable as error:
            unreadable[source.items[i].name] = error.reason
    if not found:
        name, reason = next(iter(unreadable.items()))
        raise ValueError(f"none of {len(chosen)} scenes of {whole.origin} can be read; {name} {reason}")
    channels, dtype = kinds.most_common(1)[0][0]
    moments = found[channels, dtype]
    counts = [len(scene.dates) for scene in whole.scenes if not scene.fault]
    known = [date.reading.moment for scene in whole.scenes for date in scene.dates]
    dates = sorted(f"{moment[0]}-{moment[1]:02d}" for moment in known if moment is not None)
    return RasterCard(
        origin=whole.origin,
        fingerprint=source.fingerprint(),
        count=len(source),
        classes=source.classes,
        splits={name: len(places) for name, places in source.splits().items()},
        places=len(whole.scenes),
        tile=whole.tile,
        used=whole.used,
        dates=(min(counts), int(np.median(counts)), max(counts)),
        first=dates[0] if len(dates) == len(known) else "",
        last=dates[-1] if len(dates) == len(known) else "",
        channels=channels,
        dtype=dtype,
        minimum=tuple(moments.minimum.tolist()),
        maximum=tuple(moments.maximum.tolist()),
        mean=tuple(moments.mean.tolist()),
        std=tuple(moments.std.tolist()),
        missing=moments.lost / (moments.lost + moments.pixels),
        measured=sum(kinds.values()),
        unreadable=unreadable,
    )
