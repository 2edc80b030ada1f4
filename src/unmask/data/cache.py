"""PictureCache: decoded pictures in memory, as long as they fit."""

from unmask.data.picture import Picture
from unmask.data.source import Source


class PictureCache:
    """Keeps the first pictures that are read until `limit` bytes are full; with a shuffled order nothing beats that."""

    def __init__(self, limit: int):
        self.limit = limit
        self.used = 0
        self._kept: dict[int, Picture] = {}

    def read(self, source: Source, i: int) -> Picture:
        """Picture i of the source, decoded once if there is room."""
        found = self._kept.get(i)
        if found is None:
            found = source.read(i)
            size = found.values.nbytes + (0 if found.missing is None else found.missing.nbytes)
            if self.used + size <= self.limit:
                self._kept[i] = found
                self.used += size
        return found
