"""PointsCard: what a set of point clouds is, measured once and kept with every run that trained on it."""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from unmask.data.card_json import JsonCard
from unmask.data.card_text import byte_words, class_words, laid_out, named_few, statistics_table
from unmask.data.cloud import AXES, Cloud
from unmask.data.moments import Moments
from unmask.data.names import SPLITS
from unmask.data.order import order
from unmask.data.picture import Picture, Unreadable
from unmask.data.source import Source

MEASURED = 2000  # clouds that are read where not all are asked for
Three = tuple[float, float, float]


@dataclass(frozen=True)
class PointsCard(JsonCard):
    """Counts of the whole data set, the rest of the `measured` clouds, in the units of the files.

    points: least, median and most of a cloud. extents: the same of the diagonal of the box around it. minimum ... std:
    per axis, over all points. lost: clouds with points that are not numbers, and how many. duplicates: clouds whose
    points equal those of another, which is named. unreadable: clouds that cannot be used, with the reason.
    """

    origin: str
    fingerprint: str
    count: int
    classes: tuple[str, ...]
    splits: dict[str, int]
    points: tuple[int, int, int]
    extents: Three
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    lost: dict[str, int] = field(default_factory=dict)
    duplicates: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    measured: int = 0
    bytes: int = 0
    channels: tuple[str, ...] = AXES

    def check_uniform(self) -> None:
        """Clouds of any size fit together: the same number of points is drawn of each."""

    def to_text(self, view=None, estimate: str | None = None) -> str:
        """The card for people. view: the training view, which says what it would do. estimate: e.g. of the time."""
        rows = [
            ("data", self.origin),
            ("clouds", f"{self.count:,} ({byte_words(self.bytes)}); measured {self.measured:,}"),
            ("classes", class_words(self)),
            ("parts", ", ".join(f"{name} {count:,}" for name, count in self.splits.items()) or "none"),
            ("points", f"{self.points[0]:,} to {self.points[2]:,} a cloud, median {self.points[1]:,}"),
            (
                "extent",
                "{:.4g} to {:.4g} from corner to corner, median {:.4g}".format(*np.take(self.extents, (0, 2, 1))),
            ),
        ]
        if self.lost:
            words = {name: f"{count:,} points that are not numbers" for name, count in self.lost.items()}
            rows.append(("lost", named_few(words, "has")))
        rows.append(("duplicates", named_few(self.duplicates, "equals") or f"none among {self.measured:,}"))
        rows.append(("unreadable", named_few(self.unreadable, "") or f"none among {self.measured:,}"))
        return laid_out(self, rows, view, estimate, statistics_table(self))


def inspect_points(source: Source, limit: int | None = MEASURED) -> PointsCard:
    """The card of the clouds of `source`, measured on all or on `limit` of them, always the same."""
    places = range(len(source)) if limit is None else order(0, 0, len(source))[:limit].tolist()
    moments = Moments(len(AXES))
    lost, duplicates, unreadable = dict[str, int](), dict[str, str](), dict[str, str]()
    seen, counts, extents = dict[bytes, str](), list[int](), list[float]()
    for i in places:
        name = source.items[i].name
        try:
            cloud: Cloud = source.read(i)
        except Unreadable as error:
            unreadable[name] = error.reason
            continue
        moments.add(Picture(cloud.points[None], AXES))
        counts.append(len(cloud.points))
        extents.append(float(np.linalg.norm(np.ptp(cloud.points, axis=0))))
        if cloud.lost:
            lost[name] = cloud.lost
        same = seen.setdefault(hashlib.blake2b(cloud.points.tobytes(), digest_size=16).digest(), name)
        if same != name:
            duplicates[name] = same
    if not counts:
        name, reason = next(iter((unreadable | source.refused).items()))
        raise ValueError(f"none of {len(unreadable)} clouds of {source.origin} can be used; {name} {reason}")
    parts = source.splits()
    return PointsCard(
        origin=source.origin,
        fingerprint=source.fingerprint(),
        count=len(source),
        classes=source.classes,
        splits={name: len(parts[name]) for name in sorted(parts, key=list(SPLITS.values()).index)},
        points=(min(counts), int(np.median(counts)), max(counts)),
        extents=(min(extents), float(np.median(extents)), max(extents)),
        minimum=tuple(moments.minimum.tolist()),
        maximum=tuple(moments.maximum.tolist()),
        mean=tuple(moments.mean.tolist()),
        std=tuple(moments.std.tolist()),
        lost=lost,
        duplicates=duplicates,
        unreadable=unreadable | source.refused,
        measured=len(counts) + len(unreadable),
        bytes=sum(item.size for item in source.items),
    )
