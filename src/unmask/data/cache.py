"""PictureCache: decoded pictures in memory, as long as they fit."""

import numpy as np

from unmask.data.card import DataCard
from unmask.data.jpeg import Jpeg
from unmask.data.picture import Picture
from unmask.data.source import Source


class PictureCache:
    """Keeps the first pictures that are read until `limit` bytes are full; with a shuffled order nothing beats that.

    size: of the views, when large JPEGs may be decoded as fine as each view needs, which leaves nothing to keep; None
    decodes every picture whole. What a view shows depends on this alone, never on what is kept.
    """

    def __init__(self, limit: int, size: tuple[int, int] | None = None):
        self.limit, self.size = limit, size
        self.used = 0
        self._kept: dict[int, Picture] = {}

    def read(self, source: Source, i: int) -> Picture | Jpeg:
        """Picture i of the source, decoded once if there is room."""
        kept = self._kept.get(i)
        if kept is not None:
            return kept
        found = source.read(i) if self.size is None else source.read_for(i, self.size)
        if isinstance(found, Picture):
            size = found.values.nbytes + (0 if found.missing is None else found.missing.nbytes)
            if self.used + size <= self.limit:
                self._kept[i] = found
                self.used += size
        return found


def decoded_bytes(card: DataCard, count: int) -> int:
    """What so many pictures of the median size take in memory."""
    height, width = card.sizes[1]
    return count * height * width * len(card.channels) * np.dtype(card.dtype).itemsize
