"""Data cards of lists and numbers, from JSON."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeVar

Card = TypeVar("Card")


def card_from(kind: type[Card], text: str | Mapping[str, Any]) -> Card:
    """The card of this kind from its JSON text or from the dictionary that it describes; lists become tuples.

    Raises ValueError for an entry that this kind does not have.
    """
    found = dict(json.loads(text) if isinstance(text, str) else text)
    unknown = set(found) - {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown:
        raise ValueError(f"data card has the unknown entry {sorted(unknown)[0]!r}; it is of another version")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()})
