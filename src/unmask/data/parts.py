"""Training, validation and test part of data that name none: fixed, by the names of the samples alone."""

from collections.abc import Sequence
from dataclasses import replace

from unmask.data.order import number
from unmask.data.source import Item

TEST, VALIDATION = 0.2, 0.1  # shares of every class


def parted(items: Sequence[Item]) -> list[Item]:
    """The items as they are if any names its part; else in three parts with the same shares of every class.

    Which item belongs where follows from the names, so that another order or place of the data changes nothing.
    """
    if any(item.split for item in items):
        return list(items)
    classes: dict[str | None, list[int]] = {}
    for place, item in enumerate(items):
        classes.setdefault(item.label, []).append(place)
    found = list(items)
    for places in classes.values():
        places.sort(key=lambda place: (number("part", items[place].name), items[place].name))
        test, validation = (round(share * len(places)) for share in (TEST, VALIDATION))
        for rank, place in enumerate(places):
            part = "test" if rank < test else "validation" if rank < test + validation else "train"
            found[place] = replace(items[place], split=part)
    return found
