"""VolumesCard: what a set of volumes is, measured once and kept with every run that trained on it."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from unmask.data.card_json import JsonCard
from unmask.data.card_text import byte_words, class_words, laid_out, named_few, statistics_table
from unmask.data.moments import Moments
from unmask.data.names import SPLITS
from unmask.data.order import order
from unmask.data.picture import Picture, Unreadable
from unmask.data.source import Source
from unmask.data.volume import Volume

MEASURED = 200  # volumes that are read where not all are asked for
Size = tuple[int, int, int]
Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class VolumesCard(JsonCard):
    """Counts of the whole data set, the rest of the `measured` volumes.

    sizes, spacings: least, median and most along each axis, each for itself, in voxels and millimetres. minimum ...
    std: per channel in the units of the files; volumes are standardised by themselves. kinds: volumes by type of their
    values. without_affine: volumes that do not say how they lie. targets: volumes with a mask. segments: share of the
    voxels of the measured masks by class number. missing: share of the voxels. duplicates, unreadable: with the other,
    the reason.
    """

    origin: str
    fingerprint: str
    count: int
    classes: tuple[str, ...]
    splits: dict[str, int]
    channels: tuple[str, ...]
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sizes: tuple[Size, Size, Size]
    spacings: tuple[Spacing, Spacing, Spacing]
    kinds: dict[str, int] = field(default_factory=dict)
    without_affine: tuple[str, ...] = ()
    targets: int = 0
    segments: dict[str, float] = field(default_factory=dict)
    missing: float = 0.0
    duplicates: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    measured: int = 0
    bytes: int = 0

    def check_uniform(self) -> None:
        """Volumes of any size fit together: every one is cut or filled up to the same."""

    def check_volume(self, volume: Volume) -> None:
        """Raises Unreadable for a volume with another number of channels than most."""
        if len(volume.values) != len(self.channels):
            raise Unreadable(f"has {len(volume.values)} channel(s); the data set has {len(self.channels)}")

    def to_text(self, view=None, estimate: str | None = None) -> str:
        """The card for people. view: the training view, which says what it would do. estimate: e.g. of the time."""
        rows = [
            ("data", self.origin),
            ("volumes", f"{self.count:,} ({byte_words(self.bytes)}); measured {self.measured:,}"),
            ("classes", class_words(self)),
            ("parts", ", ".join(f"{name} {count:,}" for name, count in self.splits.items()) or "none"),
            ("sizes", f"{_three(self.sizes, 'd')} voxels"),
            ("spacing", f"{_three(self.spacings, '.4g')} mm"),
            ("type", ", ".join(f"{count:,} x {name}" for name, count in self.kinds.items())),
        ]
        if self.targets:
            shares = ", ".join(f"{name}: {share:.1%}" for name, share in self.segments.items())
            rows.append(("masks", f"{self.targets:,} volumes have a segmentation mask ({shares} of the voxels)"))
        if self.without_affine:
            words = dict.fromkeys(
                self.without_affine, "does not say how it lies: its axes are taken as they are stored"
            )
            rows.append(("no affine", named_few(words, "")))
        if self.missing:
            rows.append(("missing", f"{self.missing:.2%} of the voxels (not a number)"))
        rows.append(("duplicates", named_few(self.duplicates, "equals") or f"none among {self.measured:,}"))
        rows.append(("unreadable", named_few(self.unreadable, "") or f"none among {self.measured:,}"))
        return laid_out(self, rows, view, estimate, statistics_table(self))


def _three(found: tuple, form: str) -> str:
    low, middle, high = ("x".join(format(number, form) for number in numbers) for numbers in found)
    return f"all {low}" if low == high else f"{low} to {high}, median {middle}"


def inspect_volumes(source: Source, limit: int | None = MEASURED) -> VolumesCard:
    """The card of the volumes of `source`, measured on all or on `limit` of them, always the same."""
    places = range(len(source)) if limit is None else order(0, 0, len(source))[:limit].tolist()
    moments: dict[int, Moments] = {}
    counts, kinds, segments = Counter[int](), Counter[str](), Counter[int]()
    unreadable, duplicates, seen = dict[str, str](), dict[str, str](), dict[bytes, str]()
    sizes, spacings, without = list[Size](), list[Spacing](), list[str]()
    for i in places:
        name = source.items[i].name
        try:
            volume: Volume = source.read(i)
            target = source.read_target(i)
        except Unreadable as error:
            unreadable[name] = error.reason
            continue
        channels = len(volume.values)
        counts[channels] += 1
        flat = None if volume.missing is None else volume.missing.reshape(1, -1)
        names = tuple(map(str, range(channels)))
        values = volume.values.reshape(channels, 1, -1).transpose(1, 2, 0)
        moments.setdefault(channels, Moments(channels)).add(Picture(values, names, flat))
        kinds[volume.kind] += 1
        sizes.append(volume.size)
        spacings.append(volume.spacing)
        if volume.affine is None:
            without.append(name)
        if target is not None:
            segments.update(dict(zip(*(part.tolist() for part in np.unique(target, return_counts=True)), strict=True)))
        same = seen.setdefault(hashlib.blake2b(volume.values.tobytes(), digest_size=16).digest(), name)
        if same != name:
            duplicates[name] = same
    if not sizes:
        name, reason = next(iter((unreadable | source.refused).items()))
        raise ValueError(f"none of {len(unreadable)} volumes of {source.origin} can be used; {name} {reason}")
    channels = counts.most_common(1)[0][0]
    found, parts, voxels = moments[channels], source.splits(), sum(segments.values())
    return VolumesCard(
        origin=source.origin,
        fingerprint=source.fingerprint(),
        count=len(source),
        classes=source.classes,
        splits={name: len(parts[name]) for name in sorted(parts, key=list(SPLITS.values()).index)},
        channels=("intensity",) if channels == 1 else tuple(f"channel_{i}" for i in range(channels)),
        minimum=tuple(found.minimum.tolist()),
        maximum=tuple(found.maximum.tolist()),
        mean=tuple(found.mean.tolist()),
        std=tuple(found.std.tolist()),
        sizes=_spread(sizes, int),
        spacings=_spread(spacings, float),
        kinds=dict(kinds.most_common()),
        without_affine=tuple(without),
        targets=sum(item.target is not None for item in source.items),
        segments={str(number): segments[number] / voxels for number in sorted(segments)},
        missing=found.lost / (found.lost + found.pixels),
        duplicates=duplicates,
        unreadable=unreadable | source.refused,
        measured=len(sizes) + len(unreadable),
        bytes=sum(item.size for item in source.items),
    )


def _spread(rows: list, kind: type) -> tuple:
    table = np.array(rows)
    return tuple(tuple(map(kind, of)) for of in (table.min(0), np.median(table, 0), table.max(0)))
