"""Every kind of data card is kept as JSON in the same way."""

import json
from dataclasses import dataclass

import pytest

from unmask.data.card_json import JsonCard


@dataclass(frozen=True)
class Facts(JsonCard):
    sizes: tuple[tuple[int, int], ...]
    rows: dict[str, list[int]]
    name: str = "facts"


def test_a_card_comes_back_equal_from_its_text_and_from_its_dictionary():
    card = Facts(((1, 2), (3, 4)), {"train": [5]})
    assert Facts.from_json(card.to_json()) == Facts.from_json(json.loads(card.to_json())) == card


def test_an_entry_of_another_version_is_refused():
    with pytest.raises(ValueError, match="unknown entry 'colour'; it is of another version"):
        Facts.from_json({"sizes": [], "rows": {}, "colour": "red"})
