"""ActivationCard: what a set of activations is, measured once and kept with every run that trained on it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unmask.data.activations import rows_of
from unmask.data.card_json import JsonCard
from unmask.data.card_text import laid_out
from unmask.data.source import Source

MEASURED = 32768  # rows, evenly spaced, whose statistics are taken


@dataclass(frozen=True)
class ActivationCard(JsonCard):
    """Counts of all rows, and statistics of the `measured` ones.

    norm, norm_std: of the vectors' lengths. mean_norm: length of the mean vector. std: of all numbers about the mean
    vector. dimensions: that hold 90 % of the variance. constant: dimensions that never change. unreadable: measured
    rows that cannot be used, with the reason.
    """

    origin: str
    fingerprint: str
    count: int
    width: int
    classes: tuple[str, ...]
    splits: dict[str, int]
    measured: int
    minimum: float
    maximum: float
    norm: float
    norm_std: float
    mean_norm: float
    std: float
    dimensions: int
    constant: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def channels(self) -> tuple[str, ...]:
        """Activations have no channels."""
        return ()

    def check_uniform(self) -> None:
        """All rows of one source have one width."""

    def to_text(self, view: Any = None, estimate: str | None = None) -> str:
        """The card for people. view: the training view, which says what it would do. estimate: e.g. of the time."""
        parts = ", ".join(f"{name} {count:,}" for name, count in self.splits.items())
        bad = "; ".join(f"{name} {reason}" for name, reason in list(self.unreadable.items())[:3])
        head = [
            ("data", self.origin),
            ("activations", f"{self.count:,} of {self.width} numbers"),
            ("parts", parts or "none"),
            ("classes", f"{len(self.classes)}: {', '.join(self.classes[:8])}" if self.classes else "none"),
            ("values", f"{self.minimum:.4g} to {self.maximum:.4g}, deviation about the mean vector {self.std:.4g}"),
            ("lengths", f"{self.norm:.4g} ± {self.norm_std:.4g}, of the mean vector {self.mean_norm:.4g}"),
            (
                "dimensions",
                f"{self.dimensions} of {self.width} hold 90 % of the variance; {self.constant} are constant",
            ),
            ("unusable", f"{len(self.unreadable)} of {self.measured:,} measured" + (f": {bad}" if bad else "")),
        ]
        return laid_out(self, head, view, estimate)


def inspect_activations(source: Source, most: int | None = MEASURED) -> ActivationCard:
    """The card of `source`. most: rows that are measured, evenly spaced; None for all."""
    count = len(source) if most is None else min(most, len(source))
    places = np.linspace(0, len(source) - 1, count).round().astype(np.int64)
    rows = rows_of(source, places).astype(np.float64)
    broken, flat = ~np.isfinite(rows).all(1), np.ptp(rows, axis=1) == 0
    unreadable = {source.items[int(places[i])].name: "is not finite" for i in np.flatnonzero(broken)}
    unreadable |= {source.items[int(places[i])].name: "does not vary" for i in np.flatnonzero(flat & ~broken)}
    rows = rows[~(broken | flat)]
    if len(rows) < 2:
        raise ValueError(f"{source.origin} holds fewer than 2 usable activations of {count} measured")
    mean, lengths = rows.mean(0), np.linalg.norm(rows, axis=1)
    spectrum = np.linalg.eigvalsh(np.cov(rows.T).reshape(rows.shape[1], -1))[::-1].clip(min=0)
    shares = spectrum.cumsum() / max(spectrum.sum(), np.finfo(float).tiny)
    return ActivationCard(
        origin=source.origin,
        fingerprint=source.fingerprint(),
        count=len(source),
        width=rows.shape[1],
        classes=source.classes,
        splits={name: len(found) for name, found in source.splits().items()},
        measured=count,
        minimum=float(rows.min()),
        maximum=float(rows.max()),
        norm=float(lengths.mean()),
        norm_std=float(lengths.std()),
        mean_norm=float(np.linalg.norm(mean)),
        std=float((rows - mean).std()),
        dimensions=int(np.searchsorted(shares, 0.9) + 1),
        constant=int((rows.std(0) == 0).sum()),
        unreadable=unreadable,
    )
