"""Parts that follow from the names of the samples."""

from collections import Counter

from unmask.data.parts import parted
from unmask.data.source import Item


def items(count: int = 100) -> list[Item]:
    return [Item(f"{i:03d}", "ab"[i % 4 == 0]) for i in range(count)]


def test_every_class_has_the_same_shares():
    found = Counter((item.label, item.split) for item in parted(items()))
    assert found == {
        ("a", "train"): 52, ("a", "validation"): 8, ("a", "test"): 15,
        ("b", "train"): 18, ("b", "validation"): 2, ("b", "test"): 5,
    }  # fmt: skip


def test_parts_do_not_depend_on_the_order_or_on_other_samples_of_other_classes():
    first = {item.name: item.split for item in parted(items())}
    again = {item.name: item.split for item in parted(items()[::-1])}
    assert first == again
    alone = {item.name: item.split for item in parted([item for item in items() if item.label == "b"])}
    assert all(first[name] == part for name, part in alone.items())


def test_parts_that_the_data_name_are_kept():
    given = [*items(4), Item("x", "a", "test")]
    assert parted(given) == given


def test_samples_without_classes_are_one_class():
    found = Counter(item.split for item in parted([Item(str(i)) for i in range(10)]))
    assert found == {"train": 7, "validation": 1, "test": 2}
