"""The overlap of segmentations as a loss, worked by hand."""

import math

import pytest
import torch

from unmask.parts.losses.dice import segmentation_loss, soft_dice

SURE = 50.0  # a score that makes a share of 1


def scores(*classes: int, count: int = 3) -> torch.Tensor:
    """Scores that name these classes without doubt, along a line."""
    return torch.nn.functional.one_hot(torch.tensor(classes), count).T[None].float() * SURE


def test_a_right_segmentation_has_no_loss_and_a_wrong_one_all():
    assert soft_dice(scores(0, 1, 2, 2), torch.tensor([[0, 1, 2, 2]])) == pytest.approx(0, abs=1e-6)
    assert soft_dice(scores(0, 2, 1, 1), torch.tensor([[0, 1, 2, 2]])) == pytest.approx(1)


def test_classes_count_alike_whatever_their_size():
    """Class 1: 2 * 1 / (1 + 1); class 2: 2 * 1 / (1 + 2)."""
    assert soft_dice(scores(0, 1, 2, 0), torch.tensor([[0, 1, 2, 2]])) == pytest.approx(1 - (1 + 2 / 3) / 2, abs=1e-6)


def test_what_is_ignored_does_not_count():
    with_padding = soft_dice(scores(0, 1, 2, 1), torch.tensor([[0, 1, 2, -1]]))
    assert with_padding == pytest.approx(0, abs=1e-6)
    loss = segmentation_loss(scores(0, 1, 2, 1), torch.tensor([[0, 1, 2, -1]]))
    assert loss == pytest.approx(0, abs=1e-6)


def test_cross_entropy_is_added():
    nothing = torch.zeros(1, 3, 4)
    expected = math.log(3) + soft_dice(nothing, torch.tensor([[0, 1, 2, 2]]))
    assert segmentation_loss(nothing, torch.tensor([[0, 1, 2, 2]])) == pytest.approx(float(expected))
