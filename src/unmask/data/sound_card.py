"""SoundCard: what a set of sounds is, measured once and kept with every run that trained on it."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from torch import Tensor

from unmask.data.card_json import JsonCard
from unmask.data.card_text import byte_words, class_words, laid_out, named_few, statistics_table
from unmask.data.filterbank import filterbank, resampled, silent_bands
from unmask.data.moments import Moments
from unmask.data.order import order
from unmask.data.picture import Picture, Unreadable
from unmask.data.sound import Sound, SoundSource
from unmask.data.source import Source
from unmask.data.values import whole_of

MEASURED = 500  # sounds that are read where not all are asked for
LONGEST = 30  # seconds of each that are measured
USUAL = 0.9  # share of the sounds that are as long as `seconds[2]` or shorter


@dataclass(frozen=True)
class SoundCard(JsonCard):
    """Counts of the whole data set, the rest of the `measured` sounds.

    rate: most sounds have it, others are brought to it. rates, layouts: sounds by samples a second, and by channels.
    seconds: least, median, the length that nine of ten do not exceed, and most. bands: of the spectrograms.
    minimum ... std: of all log energies of frames that are sound. silent: bands too narrow to say anything.
    shortened: files that hold fewer samples than their header promises.
    """

    origin: str
    fingerprint: str
    count: int
    classes: tuple[str, ...]
    splits: dict[str, int]
    rate: int
    bands: int
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    seconds: tuple[float, float, float, float]
    rates: dict[str, int] = field(default_factory=dict)
    layouts: dict[str, int] = field(default_factory=dict)
    silent: int = 0
    shortened: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    measured: int = 0
    bytes: int = 0
    channels: tuple[str, ...] = ("log energy",)

    def scaled(self, energies: Float[Tensor, "*batch t f"]) -> Float[Tensor, "*batch t f"]:
        """(value - mean) / (2 std), as Audio-MAE has it."""
        return (energies - self.mean[0]) / (2 * self.std[0] or 1.0)

    def restore(self, energies: Float[Tensor, "*batch t f"]) -> Float[Tensor, "*batch t f"]:
        """Standardised values back as log energies."""
        return energies * (2 * self.std[0] or 1.0) + self.mean[0]

    @property
    def changed(self) -> dict[str, str]:
        """What is done to sounds that are not as most are, in words."""
        other = sum(count for rate, count in self.rates.items() if int(rate) != self.rate)
        mixed = sum(count for layout, count in self.layouts.items() if layout != "1")
        found = {"resampled": f"{other:,} of {self.measured:,} sounds, to {self.rate:,} Hz"} if other else {}
        return found | ({"mixed": f"{mixed:,} of {self.measured:,} sounds, to one channel"} if mixed else {})

    def check_uniform(self) -> None:
        """Spectrograms of one set always fit together: every one is cut or filled up to the same length."""

    def to_text(self, view=None, estimate: str | None = None) -> str:
        """The card for people. view: the training view, which says what it would do. estimate: e.g. of the time."""
        least, median, usual, most = self.seconds
        rows = [
            ("data", self.origin),
            ("sounds", f"{self.count:,} ({byte_words(self.bytes)}); measured {self.measured:,}"),
            ("classes", class_words(self)),
            ("splits", ", ".join(f"{name} {count:,}" for name, count in self.splits.items()) or "none"),
            ("seconds", f"{least:.2f} to {most:.2f}, median {median:.2f}, nine of ten up to {usual:.2f}"),
            ("rates", ", ".join(f"{count:,} x {int(rate):,} Hz" for rate, count in self.rates.items())),
            ("channels", ", ".join(f"{count:,} x {layout}" for layout, count in self.layouts.items())),
            *self.changed.items(),
        ]
        bands = f"{self.bands} mel bands from 20 to {self.rate // 2:,} Hz"
        if self.silent:
            bands += f"; {self.silent} are too narrow to say anything at this rate, fewer bands would do"
        rows.append(("energies", bands))
        if self.shortened:
            rows.append(("shortened", named_few(self.shortened, "")))
        rows.append(("unreadable", named_few(self.unreadable, "") or f"none among {self.measured:,}"))
        return laid_out(self, rows, view, estimate, statistics_table(self))


def inspect_sounds(source: Source, limit: int | None = MEASURED) -> SoundCard:
    """The card of a data set, measured on all its sounds or on `limit` of them."""
    bands = whole_of(source, SoundSource).bands
    places = range(len(source)) if limit is None else order(0, 0, len(source))[:limit].tolist()
    unreadable, shortened, heads = dict[str, str](), dict[str, str](), dict[int, Sound]()
    for i in places:
        try:
            heads[i] = source.read(i)
        except Unreadable as error:
            unreadable[source.items[i].name] = error.reason
    rates = Counter(str(sound.rate) for sound in heads.values())
    rate = int(rates.most_common(1)[0][0]) if rates else 0
    moments, lengths = Moments(1), list[float]()
    for i, sound in heads.items():
        name = source.items[i].name
        try:
            wave = sound.part()
            if len(wave) < sound.count:
                shortened[name] = f"holds {len(wave):,} samples, its header promises {sound.count:,}"
            wave = resampled(wave[: LONGEST * sound.rate], sound.rate, rate)
            energies = filterbank(wave - wave.mean(), rate, bands).numpy()
        except Unreadable as error:
            unreadable[name] = error.reason
            continue
        moments.add(Picture(energies[..., None], ("log energy",)))
        lengths.append(sound.count / sound.rate)
    if not lengths:
        name, reason = next(iter((unreadable | source.refused).items()))
        raise ValueError(f"none of {len(unreadable)} sounds of {source.origin} can be used; {name} {reason}")
    return SoundCard(
        origin=source.origin,
        fingerprint=source.fingerprint(),
        count=len(source),
        classes=source.classes,
        splits={name: len(rows) for name, rows in source.splits().items()},
        rate=rate,
        bands=bands,
        minimum=tuple(moments.minimum.tolist()),
        maximum=tuple(moments.maximum.tolist()),
        mean=tuple(moments.mean.tolist()),
        std=tuple(moments.std.tolist()),
        seconds=(min(lengths), float(np.median(lengths)), float(np.quantile(lengths, USUAL)), max(lengths)),
        rates=dict(rates.most_common()),
        layouts=dict(Counter(str(sound.channels) for sound in heads.values()).most_common()),
        silent=silent_bands(rate, bands),
        shortened=shortened,
        unreadable=unreadable | source.refused,
        measured=len(places),
        bytes=sum(item.size for item in source.items),
    )
