import pytest
import torch

from unmask.evaluate.few_label import FewLabels


def test_every_class_gives_the_same_number_of_labels():
    labels = torch.arange(300) % 3
    for count in (1, 5, 10):
        rows = FewLabels(count).rows(labels, 0)
        assert labels[rows].bincount().tolist() == [count] * 3
        assert len(rows.unique()) == 3 * count


def test_a_small_class_gives_all_that_it_has():
    labels = torch.tensor([0] * 20 + [1] * 3)
    assert labels[FewLabels(5).rows(labels, 0)].bincount().tolist() == [5, 3]


def test_a_share_holds_in_every_class():
    labels = torch.tensor([0] * 200 + [1] * 50 + [2] * 4)
    assert labels[FewLabels(share=0.1).rows(labels, 0)].bincount().tolist() == [20, 5, 1]


def test_draws_differ_and_repeat():
    labels = torch.arange(100) % 2
    assert torch.equal(FewLabels(5).rows(labels, 0), FewLabels(5).rows(labels, 0))
    assert not torch.equal(FewLabels(5).rows(labels, 0), FewLabels(5).rows(labels, 1))


def test_labels_that_were_not_drawn_do_not_count(points):
    """All other labels may be wrong without changing the classifier."""
    probe, (x, labels) = FewLabels(3, draws=1), points(200)
    rows = probe.rows(labels, 0)
    spoilt = torch.full_like(labels, 0)
    spoilt[rows] = labels[rows]
    probe.rows = lambda *_: rows
    (right,), (other,) = (probe.fit(x, y, x, y, 4) for y in (labels, spoilt))
    assert torch.equal(right.weight, other.weight)


def test_one_function_for_every_draw(points):
    assert len(FewLabels(1, draws=7).fit(*points(100), *points(50), 4)) == 7


def test_neither_number_nor_share_is_refused():
    for arguments in ({}, {"per_class": 1, "share": 0.1}):
        with pytest.raises(ValueError, match="either"):
            FewLabels(**arguments)
