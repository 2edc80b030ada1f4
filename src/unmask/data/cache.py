"""Decoded samples in memory, as long as they fit."""

from typing import Any

import numpy as np

from unmask.data.card import DataCard
from unmask.data.jpeg import Jpeg
from unmask.data.picture import Picture
from unmask.data.source import Source


class SampleCache:
    """Keeps the first samples that are read until `limit` bytes are full; with a shuffled order nothing beats that.

    Samples that do not say how many bytes they take are not kept.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.used = 0
        self._kept: dict[int, Any] = {}

    def read(self, source: Source, i: int) -> Any:
        """Sample i of the source, read once if there is room."""
        kept = self._kept.get(i)
        if kept is not None:
            return kept
        found = self.load(source, i)
        size = getattr(found, "nbytes", None)
        if size is not None and self.used + size <= self.limit:
            self._kept[i] = found
            self.used += size
        return found

    def load(self, source: Source, i: int) -> Any:
        """A sample that is not kept."""
        return source.read(i)


class PictureCache(SampleCache):
    """Keeps decoded pictures.

    size: of the views, when large JPEGs may be decoded as fine as each view needs, which leaves nothing to keep; None
    decodes every picture whole. What a view shows depends on this alone, never on what is kept.
    """

    def __init__(self, limit: int, size: tuple[int, int] | None = None):
        super().__init__(limit)
        self.size = size

    def load(self, source: Source, i: int) -> Picture | Jpeg:
        return source.read(i) if self.size is None else source.read_for(i, self.size)


def decoded_bytes(card: DataCard, count: int) -> int:
    """What so many pictures of the median size take in memory."""
    height, width = card.sizes[1]
    return count * height * width * len(card.channels) * np.dtype(card.dtype).itemsize
