import itertools

import pytest
import torch

from unmask.core import check_batch
from unmask.data.card import MixedPictures, inspect
from unmask.data.order import number
from unmask.data.sources import open_source
from unmask.data.stream import TooManyUnreadable, TrainingStream, order, sample_at
from unmask.data.views import TrainingView

COUNT = 24


@pytest.fixture
def source(make, tmp_path):
    return open_source(make.write_folder(tmp_path / "set", [f"{i:02d}.png" for i in range(COUNT)]))


def stream(source, **changes) -> TrainingStream:
    arguments = {"seed": 5, "batch": 8, "steps": 7, "budget": 1.0, **changes}
    return TrainingStream(source, inspect(source), TrainingView(8, whole=True), **arguments)


def whole_steps(source, processes: int, accumulation: int, **changes) -> list[dict[str, torch.Tensor]]:
    """The batches of all processes put together again, step by step."""
    parts = [
        list(stream(source, processes=processes, process=p, accumulation=accumulation, **changes))
        for p in range(processes)
    ]
    steps = []
    for first in range(0, len(parts[0]), accumulation):
        rows = [parts[p][first + a] for a in range(accumulation) for p in range(processes)]
        steps.append({key: torch.cat([row[key] for row in rows]) for key in rows[0]})
    return steps


def same(one, other) -> bool:
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a) for a, b in zip(one, other, strict=True)
    )


def test_every_epoch_holds_every_sample_once_in_another_order():
    first, second = order(0, 0, 100), order(0, 1, 100)
    assert first.sort().values.tolist() == list(range(100))
    assert not torch.equal(first, second)
    assert not torch.equal(first, order(1, 0, 100))
    assert [sample_at(0, position, 100) for position in (0, 99, 100)] == [first[0], first[99], second[0]]


def test_the_order_is_the_same_in_every_version():
    """Computed once with torch 2.14; runs of older versions can be resumed as long as this holds."""
    assert order(0, 0, 10).tolist() == [5, 0, 9, 2, 7, 6, 4, 8, 1, 3]


def test_batches_are_full_and_cross_epochs(source):
    batches = list(stream(source, batch=10, steps=5))
    assert [len(batch["image"]) for batch in batches] == [10] * 5
    index = torch.cat([batch["index"] for batch in batches])
    assert index[:COUNT].sort().values.tolist() == list(range(COUNT))
    assert index[COUNT : 2 * COUNT].tolist() == order(5, 1, COUNT).tolist()
    for batch in batches:
        check_batch(batch)


@pytest.mark.parametrize(("processes", "accumulation"), [(2, 1), (1, 4), (2, 2), (4, 2)])
def test_processes_and_accumulation_change_no_bit(source, processes, accumulation):
    assert same(whole_steps(source, processes, accumulation), whole_steps(source, 1, 1))


def test_workers_change_no_bit(source):
    alone = list(stream(source))
    assert same(alone, list(stream(source, workers=1)))
    assert same(alone, list(stream(source, workers=2)))


def test_a_restart_continues_with_the_same_bits(source):
    alone = list(stream(source, accumulation=2))
    assert same(alone[6:], list(stream(source, accumulation=2, start=3)))
    assert len(stream(source, accumulation=2, start=3)) == 8


def test_the_memory_for_pictures_changes_no_bit(source):
    alone = list(stream(source))
    assert same(alone, list(stream(source, cache_bytes=0)))
    assert same(alone, list(stream(source, cache_bytes=2000)))


def damage(source, *places: int) -> None:
    for i in places:
        (source.root / source.items[i].name).write_bytes(b"<html>")


def test_an_unreadable_sample_is_replaced_deterministically_and_counted(source):
    intact = list(stream(source))
    card = inspect(source)
    damage(source, 3, 7)
    arguments = {"seed": 5, "batch": 8, "steps": 7, "budget": 0.1}
    runs = [TrainingStream(source, card, TrainingView(8, whole=True), **arguments, workers=w) for w in (0, 0, 2)]
    found = [list(run) for run in runs]
    assert same(found[0], found[1])
    assert same(found[0], found[2])
    for run in runs:
        assert sorted(run.faults) == ["03.png", "07.png"]
        assert "not a picture of a known format" in run.faults["03.png"]
    for before, after in zip(intact, found[0], strict=True):
        bad = (before["index"] == 3) | (before["index"] == 7)
        assert torch.equal(before["image"][~bad], after["image"][~bad])
        assert not torch.isin(after["index"], torch.tensor([3, 7])).any()


@pytest.mark.parametrize("workers", [0, 1])
def test_more_unreadable_samples_than_the_budget_stop_and_are_named(source, workers):
    card = inspect(source)
    damage(source, 3, 7)
    run = TrainingStream(source, card, TrainingView(8), seed=0, batch=8, steps=6, budget=0.05, workers=workers)
    with pytest.raises(TooManyUnreadable, match=r"2 of 24 .*5.00% \(1\).*03.png is not.*--bad-budget") as caught:
        list(run)
    assert sorted(caught.value.names) == ["03.png", "07.png"]


def test_the_default_budget_is_one_in_a_thousand(source):
    card = inspect(source)
    damage(source, 3)
    with pytest.raises(TooManyUnreadable, match="1 of 24"):
        list(TrainingStream(source, card, TrainingView(8), seed=0, batch=8, steps=3))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_set_that_became_unreadable_ends_instead_of_searching_for_ever(source, workers):
    card = inspect(source)
    damage(source, *range(COUNT))
    with pytest.raises(TooManyUnreadable):
        list(TrainingStream(source, card, TrainingView(8), seed=0, batch=8, steps=3, budget=1.0, workers=workers))


def test_a_picture_of_another_kind_is_replaced_and_counted(source, make):
    card = inspect(source)
    (source.root / "04.png").write_bytes(make.encode(make.noise(shape=(12, 16))))
    run = TrainingStream(source, card, TrainingView(8), seed=0, batch=8, steps=3, budget=0.1)
    assert all(batch["image"].shape == (8, 3, 8, 8) for batch in run)
    assert run.faults == {"04.png": "is grey, uint8; the data set is red green blue, uint8"}


def test_mixed_sets_and_impossible_divisions_are_refused_before_training(source, make):
    with pytest.raises(ValueError, match="batch 8 cannot be divided over 3"):
        stream(source, processes=3)
    with pytest.raises(ValueError, match="process 2 is not one of 2"):
        stream(source, processes=2, process=2)
    (source.root / "00.png").write_bytes(make.encode(make.noise(shape=(12, 16))))
    with pytest.raises(MixedPictures):
        stream(source)


def test_valid_pixels_are_there_for_the_whole_batch_when_one_sample_needs_them(tmp_path):
    import numpy as np

    values = np.random.default_rng(0).random((4, 8, 8)).astype(np.float32)
    values[2, 0, 0] = np.nan
    np.save(tmp_path / "a.npy", values)
    source = open_source(tmp_path / "a.npy")
    view = TrainingView(8, crop=None, flip=False)
    batch = next(iter(TrainingStream(source, inspect(source), view, seed=0, batch=4, steps=1)))
    assert batch["image_valid"].shape == (4, 8, 8)
    assert batch["image_valid"].all((1, 2)).sum() == 3


def test_a_stream_can_be_gone_through_again(source):
    run = stream(source)
    assert same(list(itertools.islice(run, 3)), list(itertools.islice(run, 3)))


@pytest.fixture
def photographs(make, tmp_path):
    """JPEGs of four times the size of the view and more."""
    for i in range(COUNT):
        (tmp_path / f"{i:02d}.jpg").write_bytes(make.encode(make.noise(i, (64, 80, 3)), "JPEG"))
    return open_source(tmp_path)


def reducing(source, **changes) -> TrainingStream:
    arguments = {"seed": 5, "batch": 8, "steps": 7, "cache_bytes": 0, **changes}
    return TrainingStream(source, inspect(source), TrainingView(8), **arguments)


def test_reduced_decoding_is_the_same_with_workers_and_after_a_restart(photographs):
    alone = list(reducing(photographs))
    assert same(alone, list(reducing(photographs, workers=2)))
    assert same(alone[3:], list(reducing(photographs, start=3)))


def test_a_set_that_fits_in_memory_is_decoded_exactly_with_any_number_of_workers(photographs):
    needed = COUNT * 64 * 80 * 3
    alone = list(reducing(photographs, cache_bytes=needed))
    assert same(alone, list(reducing(photographs, cache_bytes=needed, workers=2)))
    assert not same(alone, list(reducing(photographs, cache_bytes=needed - 1)))


def test_a_batch_holds_the_views_of_its_samples(source):
    batch = next(iter(stream(source)))
    card, view = inspect(source), TrainingView(8, whole=True)
    for row in range(8):
        generator = torch.Generator().manual_seed(number("view", 5, row))
        found = view(source.read(int(batch["index"][row])), card, generator)
        assert all(torch.equal(batch[key][row], value) for key, value in found.items())


def test_pictures_that_travel_as_8_bit_arrive_as_those_that_are_standardised_first(source):
    plain, travelling = stream(source), stream(source)
    travelling.deferred = travelling._batches.deferred = True
    assert travelling._batches[0][0]["image"].dtype == torch.uint8
    assert same(list(plain), list(travelling))


def test_from_workers_pictures_travel_as_8_bit(source):
    assert stream(source, workers=2).deferred
    assert not stream(source).deferred


def test_labels_come_where_they_are_asked_for_and_known(make, tmp_path):
    names = [f"{'cat' if i % 3 else 'dog'}/{i:02d}.png" for i in range(COUNT)]
    source = open_source(make.write_folder(tmp_path / "labelled", names))
    batch = next(iter(stream(source, labels=True)))
    assert batch["label"].tolist() == [source.label(int(i)) for i in batch["index"]]
    assert "label" not in next(iter(stream(source)))
