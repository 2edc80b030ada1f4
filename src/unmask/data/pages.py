"""Every page of a TIFF file as a picture of its own."""

from dataclasses import replace

from unmask.data.picture import Picture
from unmask.data.source import Listing, Source
from unmask.data.tiff import page_count


class PageSource(Source):
    """Another source, with "name#0", "name#1", ... in place of each TIFF file. Opening it reads all their headers."""

    def __init__(self, whole: Source):
        items, self._places = [], []
        for i, item in enumerate(whole.items):
            for page in range(_count(whole, i)):
                items.append(replace(item, name=f"{item.name}#{page}", target=None))
                self._places.append((i, page))
        super().__init__(whole.origin, Listing(items), whole.decoder, whole.classes, whole.refused)
        self.whole = whole

    def read(self, i: int) -> Picture:
        place, page = self._places[i]
        if not _is_tiff(self.whole.items[place].name):
            return self.whole.read(place)
        return self.decoder.page(self.whole.data(place), page)

    def read_for(self, i: int, size: tuple[int, int]) -> Picture:
        return self.read(i)


def _is_tiff(name: str) -> bool:
    return name.lower().endswith((".tif", ".tiff"))


def _count(whole: Source, i: int) -> int:
    """A file that cannot be opened stays one sample, so that reading it gives the reason."""
    if not _is_tiff(whole.items[i].name):
        return 1
    try:
        return page_count(whole.data(i))
    except Exception:  # a damaged header raises whatever the reader raises
        return 1
