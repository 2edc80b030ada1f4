"""DataCard: what a data set is, measured once and kept with every run that trained on it."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from unmask.data.card_json import JsonCard
from unmask.data.jpeg import Jpeg
from unmask.data.moments import Moments
from unmask.data.order import order
from unmask.data.picture import Picture, Unreadable, channel_words
from unmask.data.source import Source

Size = tuple[int, int]
MOST_PIXELS = 500_000_000  # a sample of large pictures ends here, after at least FEWEST pictures
FEWEST = 32


class MixedPictures(ValueError):
    """The pictures of a data set differ in channels or type, and no rule says what to do about it."""


@dataclass(frozen=True)
class DataCard(JsonCard):
    """Counts of the whole data set, statistics of the `measured` pictures in the units of the files.

    channels, dtype: of most pictures. kinds: how many of the measured pictures are of which kind.
    minimum ... std: per channel, over pixels that are not missing.
    sizes: smallest, median and largest (height, width), each side for itself.
    missing: share of the pixels. bytes: of all files. targets: pictures with a segmentation mask.
    duplicates: measured pictures whose pixels equal those of another, which is named.
    unreadable: measured pictures that cannot be read, and files that were refused, with the reason.
    """

    origin: str
    fingerprint: str
    count: int
    classes: tuple[str, ...]
    splits: dict[str, int]
    channels: tuple[str, ...]
    dtype: str
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sizes: tuple[Size, Size, Size]
    missing: float = 0.0
    measured: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    duplicates: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    bytes: int = 0
    targets: int = 0

    @property
    def kind(self) -> str:
        """Channels and type that every picture must have."""
        return f"{channel_words(self.channels)}, {self.dtype}"

    def standardise(self, values: Shaped[np.ndarray, "h w c"]) -> Float[Tensor, "c h w"]:
        """(value - mean) / std per channel; a constant channel becomes 0."""
        return self.scaled(native(values).permute(2, 0, 1))

    def scaled(
        self, image: Shaped[Tensor, "*batch c h w"], out: Float[Tensor, "*batch c h w"] | None = None
    ) -> Float[Tensor, "*batch c h w"]:
        """`standardise` for tensors that have the channels first; `out` is filled and returned."""
        wide = torch.float64 if image.dtype in (torch.int32, torch.int64, torch.float64) else torch.float32
        mean, scale = (statistic.to(image.device, wide) for statistic in self._statistics)
        if out is not None and wide == out.dtype:
            return torch.sub(image, mean, out=out).div_(scale)
        found = (image - mean).div_(scale).float()
        return found if out is None else out.copy_(found)

    def restore(self, image: Float[Tensor, "*batch c h w"]) -> Float[Tensor, "*batch c h w"]:
        """Standardised values back in the units of the files."""
        mean, scale = self._statistics
        return (image * scale.to(image)) + mean.to(image)

    @cached_property
    def _dtype(self) -> np.dtype:
        return np.dtype(self.dtype)

    @cached_property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        scale = [deviation if deviation > 0 else 1.0 for deviation in self.std]
        mean, spread = torch.tensor([self.mean, scale], dtype=torch.float64)[..., None, None]
        return mean, spread

    def check_uniform(self) -> None:
        """Raises MixedPictures with the table of what was found, when pictures of several kinds were."""
        if len(self.kinds) > 1:
            table = "; ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items(), key=lambda x: -x[1]))
            raise MixedPictures(
                f"{self.origin} mixes pictures of {len(self.kinds)} kinds ({table}); pass `channels`, e.g. "
                f"{','.join(self.channels[:4])}, to map them to one, or leave the others out"
            )

    def check_picture(self, picture: Picture | Jpeg) -> None:
        """Raises Unreadable for a picture with other channels or another type than this card's."""
        if picture.channels != self.channels or picture.dtype != self._dtype:
            raise Unreadable(f"is {picture.kind}; the data set is {self.kind}")

    def differences(self, other: "DataCard", sigmas: float = 3.0) -> list[str]:
        """One sentence for each thing in which `other` differs too much to use the same network on it."""
        if self.channels != other.channels:
            return [f"channels are {channel_words(other.channels)}, not {channel_words(self.channels)}"]
        found = [f"values are {other.dtype}, not {self.dtype}"] if self.dtype != other.dtype else []
        for name, mean, std, seen, spread in zip(
            self.channels, self.mean, self.std, other.mean, other.std, strict=True
        ):
            if abs(seen - mean) > sigmas * std or spread > sigmas * std or std > sigmas * spread:
                found.append(f"{name} has mean {seen:.4g} and std {spread:.4g}, not {mean:.4g} and {std:.4g}")
        return found

    def to_text(self, view=None, estimate: str | None = None) -> str:
        """The card for people. view: the training view, which says what it would do. estimate: e.g. of the time."""
        from unmask.data.card_text import card_text

        return card_text(self, view, estimate)


def native(values: Shaped[np.ndarray, "h w c"]) -> Shaped[Tensor, "h w c"]:
    """The values as a tensor that torch can calculate with; nothing is rounded or clipped."""
    if values.dtype in (np.uint16, np.float16):
        values = values.astype(np.float32)
    elif values.dtype in (np.uint32, np.uint64):
        values = values.astype(np.float64)
    return torch.from_numpy(values if values.flags.writeable else values.copy())


def inspect(source: Source, limit: int | None = 2000, seed: int = 0) -> DataCard:
    """The data card. limit: measure that many pictures, chosen by `seed`; None measures and checks every one."""
    chosen = _sample(len(source), limit, seed)
    moments: dict[str, Moments] = {}
    examples: dict[str, Picture] = {}
    kinds: Counter[str] = Counter()
    seen: dict[bytes, str] = {}
    sizes, duplicates, unreadable = [], {}, {}
    pixels = 0
    for i in chosen:
        name = source.items[i].name
        try:
            picture = source.read(i)
        except Unreadable as error:
            unreadable[name] = error.reason
            continue
        kind = picture.kind
        kinds[kind] += 1
        if kind not in moments:
            moments[kind] = Moments(len(picture.channels))
            examples[kind] = Picture(picture.values[:1, :1], picture.channels)
        moments[kind].add(picture)
        sizes.append(picture.values.shape[:2])
        same = seen.setdefault(_content(picture), name)
        if same != name:
            duplicates[name] = same
        pixels += picture.values.shape[0] * picture.values.shape[1]
        if limit is not None and pixels > MOST_PIXELS and len(sizes) >= FEWEST:
            break
    if not sizes:
        name, reason = next(iter(unreadable.items()))
        raise ValueError(f"none of {len(unreadable)} pictures of {source.origin} can be read; {name} {reason}")
    kind = kinds.most_common(1)[0][0]
    return _card(source, moments[kind], examples[kind], kinds, sizes, duplicates, unreadable)


def _card(source, found: Moments, example: Picture, kinds, sizes, duplicates, unreadable) -> DataCard:
    table = np.array(sizes)
    measured = len(sizes) + len(unreadable)
    return DataCard(
        origin=source.origin,
        fingerprint=source.fingerprint(),
        count=len(source),
        classes=source.classes,
        splits={name: len(places) for name, places in source.splits().items()},
        channels=example.channels,
        dtype=str(example.values.dtype),
        minimum=tuple(found.minimum.tolist()),
        maximum=tuple(found.maximum.tolist()),
        mean=tuple(found.mean.tolist()),
        std=tuple(found.std.tolist()),
        sizes=(_size(table.min(axis=0)), _size(np.median(table, axis=0)), _size(table.max(axis=0))),
        missing=found.lost / (found.lost + found.pixels),
        measured=measured,
        kinds=dict(kinds.most_common()),
        duplicates=duplicates,
        unreadable=unreadable | source.refused,
        bytes=sum(item.size for item in source.items),
        targets=sum(item.target is not None for item in source.items),
    )


def _size(pair: np.ndarray) -> Size:
    return int(pair[0]), int(pair[1])


def _sample(n: int, limit: int | None, seed: int) -> list[int]:
    """All places in the order of the listing, or the first `limit` of a shuffled order."""
    return list(range(n)) if limit is None else order(seed, 0, n)[:limit].tolist()


def _content(picture: Picture) -> bytes:
    digest = hashlib.blake2b(f"{picture.values.shape} {picture.kind}".encode(), digest_size=16)
    digest.update(picture.values.tobytes())
    return digest.digest()
