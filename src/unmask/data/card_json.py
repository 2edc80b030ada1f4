"""What all data cards have in common: they are kept as JSON."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeVar

Card = TypeVar("Card", bound="JsonCard")


class JsonCard:
    """Base of data cards: frozen dataclasses of text, numbers, dictionaries and tuples, which JSON holds as lists."""

    def to_json(self) -> str:
        """As JSON text; `from_json` gives an equal card."""
        return json.dumps(dataclasses.asdict(self), indent=1)  # type: ignore[call-overload]

    @classmethod
    def from_json(cls: type[Card], text: str | Mapping[str, Any]) -> Card:
        """From the text of `to_json` or from the dictionary that it describes.

        Raises ValueError for an entry that this kind of card does not have.
        """
        found = dict(json.loads(text) if isinstance(text, str) else text)
        unknown = set(found) - {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if unknown:
            raise ValueError(f"data card has the unknown entry {sorted(unknown)[0]!r}; it is of another version")
        return cls(**{name: tuples(value) for name, value in found.items()})


def tuples(value: Any) -> Any:
    """Lists, and lists in lists, as tuples; everything else as it is."""
    return tuple(map(tuples, value)) if isinstance(value, list) else value
