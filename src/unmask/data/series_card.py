"""SeriesCard: what a set of time series is, measured once and kept with every run that trained on it."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unmask.data.card_json import JsonCard
from unmask.data.card_text import laid_out
from unmask.data.series import PARTS, SeriesSource
from unmask.data.source import Source
from unmask.data.values import whole_of

MOST_ROWS = 12  # of channels and series before the rest is counted


@dataclass(frozen=True)
class SeriesCard(JsonCard):
    """Counts of the windows, and statistics of the training rows alone, in the units of the files.

    count: windows trained on. length, horizon: rows of a window, and those to forecast. splits: windows of every part.
    rows: of every series in its training, validation and test part. published: series whose parts are those by which
    papers report them. step: time from row to row. missing: values that are not a number, by channel, in all rows.
    """

    origin: str
    fingerprint: str
    count: int
    length: int
    horizon: int
    splits: dict[str, int]
    rows: dict[str, tuple[int, int, int]]
    channels: tuple[str, ...]
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    step: str = ""
    published: tuple[str, ...] = ()
    missing: dict[str, int] = field(default_factory=dict)

    @property
    def constant(self) -> tuple[str, ...]:
        """Channels that never change in the training rows."""
        return tuple(name for name, std in zip(self.channels, self.std, strict=True) if not std > 0)

    @cached_property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        scale = [deviation if deviation > 0 else 1.0 for deviation in self.std]
        mean, spread = torch.tensor([self.mean, scale], dtype=torch.float32)
        return mean, spread

    def scaled(self, series: Float[Tensor, "*batch t c"]) -> Float[Tensor, "*batch t c"]:
        """(value - mean) / std per channel; a constant channel becomes 0."""
        mean, scale = self._statistics
        return (series - mean.to(series)) / scale.to(series)

    def restore(self, series: Float[Tensor, "*batch t c"]) -> Float[Tensor, "*batch t c"]:
        """Standardised values back in the units of the files."""
        mean, scale = self._statistics
        return series * scale.to(series) + mean.to(series)

    def check_uniform(self) -> None:
        """All windows of one source have the same channels and length."""

    @classmethod
    def from_json(cls, text: str | Mapping[str, Any]) -> "SeriesCard":
        found = dict(json.loads(text) if isinstance(text, str) else text)
        return super().from_json(found | {"rows": {name: tuple(counts) for name, counts in found["rows"].items()}})

    def to_text(self, view=None, estimate: str | None = None) -> str:
        """The card for people. view: the training view, which says what it would do. estimate: e.g. of the time."""
        head = [("data", self.origin), ("windows", f"{self.count:,} of {self.length} rows")]
        head += [("parts", ", ".join(f"{name} {count:,}" for name, count in self.splits.items()))]
        listed = list(self.rows.items())
        for i, (name, counts) in enumerate(listed[:MOST_ROWS]):
            how = "as published" if name in self.published else "70, 10 and 20 %"
            parts = " + ".join(f"{count:,}" for count in counts)
            head.append(("series" if i == 0 else "", f"{name}: {parts} rows ({how})"))
        if len(listed) > MOST_ROWS:
            head.append(("", f"... and {len(listed) - MOST_ROWS} more series"))
        head.append(("step", self.step or "not told by the file"))
        head.append(("channels", f"{len(self.channels)}: {', '.join(self.channels[:MOST_ROWS])}"))
        lost = ", ".join(f"{name} {count:,}" for name, count in self.missing.items())
        head.append(("missing", lost or "none"))
        if self.constant:
            head.append(("constant", ", ".join(self.constant)))
        return laid_out(self, head, view, estimate, self._table())

    def _table(self) -> list[str]:
        width = max(7, *(len(name) for name in self.channels[:MOST_ROWS]))
        lines = [f"{'channel':<{width}} {'minimum':>12} {'maximum':>12} {'mean':>12} {'std':>12}  (training rows)"]
        columns = list(zip(self.channels, self.minimum, self.maximum, self.mean, self.std, strict=True))
        for name, *numbers in columns[:MOST_ROWS]:
            lines.append(f"{name:<{width}} " + " ".join(f"{number:>12.6g}" for number in numbers))
        if len(columns) > MOST_ROWS:
            lines.append(f"... and {len(columns) - MOST_ROWS} more channels")
        return lines


def inspect_series(source: Source) -> SeriesCard:
    """The card of the windows of `source`; its statistics are those of all training rows of the series."""
    whole = whole_of(source, SeriesSource)
    values = np.where(np.isfinite(rows := whole.training_rows()), rows, np.nan)
    empty = np.flatnonzero(np.isnan(values).all(axis=0))
    if len(empty):
        name = whole.channels[empty[0]]
        raise ValueError(f"column {name!r} of {whole.origin} has no number in its training rows; leave it out")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        statistics = {
            name: tuple(of(values, axis=0).tolist())
            for name, of in (("minimum", np.nanmin), ("maximum", np.nanmax), ("mean", np.nanmean), ("std", np.nanstd))
        }
    lost = sum((~np.isfinite(table.values)).sum(axis=0) for table in whole.tables)
    steps = {table.step for table in whole.tables}
    counts = {name: len(places) for name, places in source.splits().items()}
    return SeriesCard(
        origin=whole.origin,
        fingerprint=source.fingerprint(),
        count=len(source),
        length=whole.length,
        horizon=whole.horizon,
        splits={name: counts[name] for name in PARTS if name in counts},
        rows={
            table.name: (ends.train, ends.validation - ends.train, ends.test - ends.validation)
            for table, ends in zip(whole.tables, whole.borders, strict=True)
        },
        channels=whole.channels,
        step=steps.pop() if len(steps) == 1 else "irregular",
        published=tuple(table.name for table, ends in zip(whole.tables, whole.borders, strict=True) if ends.published),
        missing={name: n for name, n in zip(whole.channels, np.asarray(lost).tolist(), strict=True) if n},
        **statistics,
    )
