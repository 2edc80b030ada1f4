import pytest
import torch

from unmask.evaluate.split import Part, complete, hold_out


def rows_of(batches):
    return torch.cat([batch["index"] for batch in batches])


def test_the_share_holds_in_every_class():
    labels = torch.tensor([0] * 100 + [1] * 20)
    kept, held = hold_out(120, labels, 0.1)
    assert labels[held].bincount().tolist() == [10, 2]
    assert torch.equal(torch.cat([kept, held]).sort().values, torch.arange(120))


def test_a_class_of_one_sample_stays_in_training():
    kept, held = hold_out(3, torch.tensor([0, 1, 1]), 0.5)
    assert 0 in kept
    assert len(held) == 1


def test_the_split_repeats_and_follows_the_seed():
    assert torch.equal(hold_out(100)[1], hold_out(100)[1])
    assert not torch.equal(hold_out(100, seed=1)[1], hold_out(100, seed=2)[1])


def test_nothing_to_hold_out_is_refused():
    with pytest.raises(ValueError, match="validation"):
        hold_out(3, torch.arange(3))


def test_a_part_gives_its_rows_every_time(batches):
    part = Part(batches(50), torch.tensor([3, 17, 18, 49]))
    for _ in range(2):
        assert rows_of(part).tolist() == [3, 17, 18, 49]


def test_missing_parts_are_held_out_without_overlap(batches):
    parts, note = complete(batches(100), None, None)
    found = [rows_of(parts[name]) for name in ("train", "validation", "test")]
    assert torch.equal(torch.cat(found).sort().values, torch.arange(100))
    assert [len(rows) for rows in found] == pytest.approx([72, 8, 20], abs=2)  # rounded in each of 3 classes
    assert "20%" in note
    assert "10%" in note


def test_the_split_does_not_depend_on_the_batch(batches):
    few, many = (complete(batches(60, size), None, None)[0] for size in (7, 60))
    for name in few:
        assert torch.equal(rows_of(few[name]), rows_of(many[name]))


def test_a_missing_validation_part_leaves_the_test_part_alone(batches):
    test = batches(20, seed=5)
    parts, note = complete(batches(50), None, test)
    assert parts["test"] is test
    assert "test" not in note


def test_given_parts_are_not_touched(batches):
    given = batches(20), batches(10), batches(10)
    parts, note = complete(*given)
    assert tuple(parts.values()) == given
    assert note == ""


def test_batches_that_can_be_read_only_once_are_refused(batches):
    with pytest.raises(TypeError, match="only once"):
        complete(iter(batches(20)), None, None)


def test_empty_batches_are_refused():
    with pytest.raises(ValueError, match="empty"):
        complete([], None, None)
