import pytest

from unmask.data.source import Item, Listing, Source, Strings, class_names


def test_strings_come_back_as_they_were():
    words = ["", "a", "日本", "x" * 1000, "\udcff"]
    kept = Strings(words)
    assert list(kept) == words
    assert kept[-1] == "\udcff"
    assert kept[1:3] == words[1:3]
    with pytest.raises(IndexError):
        kept[5]


def test_a_listing_gives_equal_items():
    items = [Item("a", "cat", "train", 3, "mask/a"), Item("b", None, None, 2**40), Item("c", "dog", "train", 0)]
    listing = Listing(items)
    assert list(listing) == items
    assert listing[-1] == items[-1]
    assert listing[::2] == items[::2]


def test_class_names_that_are_numbers_are_sorted_as_numbers():
    assert class_names([Item("a", "10"), Item("b", "9")]) == ["9", "10"]
    assert class_names([Item("a", "x"), Item("b", "9"), Item("c")]) == ["9", "x"]
    assert class_names([Item("a", "only")]) == []


def test_the_fingerprint_ignores_the_order_of_the_listing():
    items = [Item("a", size=1), Item("b", size=2)]
    one, other = Source("x", items), Source("y", items[::-1])
    assert one.fingerprint() == other.fingerprint()
    assert one.fingerprint() != Source("x", [Item("a", size=2), Item("b", size=2)]).fingerprint()
