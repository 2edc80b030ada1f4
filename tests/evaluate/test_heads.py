import pytest
import torch

from unmask.evaluate.heads import ManyClasses, Numbers, OneClass


def test_smoothed_targets_keep_most_of_the_mass():
    targets = OneClass(torch.tensor([0, 3]), smoothing=0.1).targets(torch.tensor([1]))
    assert torch.allclose(targets, torch.tensor([[0.025, 0.925, 0.025, 0.025]]))


def test_smoothed_loss_is_torchs_own():
    scores, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    head = OneClass(labels, 0.1)
    expected = torch.nn.functional.cross_entropy(scores, labels, label_smoothing=0.1)
    assert torch.allclose(head.loss(scores, head.targets(labels)), expected, atol=1e-6)


def test_average_precision_of_a_case_worked_by_hand():
    """Positives ranked first and third of three: (1 / 1 + 2 / 3) / 2. The class that never occurs does not count."""
    labels = torch.tensor([[1, 0], [0, 0], [1, 0]])
    answers = torch.tensor([[0.9, 0.1], [0.5, 0.1], [0.2, 0.1]])
    assert ManyClasses(labels).score(answers, labels) == pytest.approx(5 / 6)


def test_numbers_return_to_their_unit():
    labels = torch.tensor([10.0, 20.0, 60.0])
    head = Numbers(labels)
    assert torch.allclose(head.read(head.targets(labels)), labels[:, None], atol=1e-4)
    assert float(head.targets(labels).std(correction=0)) == pytest.approx(1.0)


def test_r_squared_is_one_when_exact_and_zero_for_the_mean():
    labels = torch.tensor([[1.0, 5.0], [2.0, 7.0], [3.0, 9.0]])
    head = Numbers(labels)
    assert head.score(labels, labels) == 1.0
    assert head.score(labels.mean(0).expand(3, 2), labels) == pytest.approx(0.0)


def test_equal_numbers_give_no_division_by_zero():
    assert Numbers(torch.ones(4)).targets(torch.ones(4)).isfinite().all()


def test_labels_of_the_wrong_kind_are_refused():
    with pytest.raises(ValueError, match="class numbers"):
        OneClass(torch.tensor([0.5, 1.0]))
    with pytest.raises(ValueError, match="0 and 1"):
        ManyClasses(torch.tensor([[2, 0]]))
    with pytest.raises(ValueError, match="finite"):
        Numbers(torch.tensor([1.0, torch.nan]))
