import pytest
import torch

from unmask.evaluate.pixels import RawPixels
from unmask.evaluate.segmentation import Segmentation, class_shares, confusion, mean_iou, pixel_scores


def test_mean_iou_of_a_case_worked_by_hand():
    """Class 0: 2 of 3 pixels; class 1: 1 of 3; class 2 never occurs; the ignored pixel does not count."""
    target = torch.tensor([[0, 0, 1, 1, -1]])
    named = torch.tensor([[0, 0, 0, 1, 1]])
    table = confusion(named, target, 3)
    assert table.tolist() == [[2, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert mean_iou(table) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_a_class_that_is_named_but_absent_counts_as_zero():
    table = confusion(torch.tensor([0, 2]), torch.tensor([0, 0]), 3)
    assert mean_iou(table) == pytest.approx((1 / 2 + 0) / 2)


def test_shares_of_a_patch_ignore_what_is_ignored():
    """A 3x2 picture in patches of 2: the first holds 0, 1, 1, -1; the second 2, 2 and padding."""
    picture = torch.tensor([[[0, 1], [1, -1], [2, 2]]])
    shares, known = class_shares(picture, 3, 2)
    assert torch.allclose(shares, torch.tensor([[[1 / 3, 2 / 3, 0], [0, 0, 1.0]]]))
    assert known.tolist() == [[0.75, 0.5]]


def test_a_patch_without_known_pixels_has_no_shares():
    shares, known = class_shares(torch.full((1, 4, 4), -1), 2, 4)
    assert not shares.any()
    assert not known.any()


def test_scores_lie_over_their_patches_and_end_with_the_picture():
    scores = torch.tensor([[[0.0], [1.0], [2.0], [3.0]]])
    planes = pixel_scores(scores, (2, 2), 4, (7, 6))
    assert planes.shape == (1, 1, 7, 6)
    assert torch.allclose(planes[0, 0, 0], torch.tensor([0, 0, 0.125, 0.375, 0.625, 0.875]))  # centres at 1.5 and 5.5
    assert torch.allclose(planes[0, 0, :, 0], torch.tensor([0, 0, 0.25, 0.75, 1.25, 1.75, 2]))


def test_halves_of_different_brightness_are_told_apart(batches):
    parts = {"train": batches(48), "validation": batches(16, seed=1), "test": batches(16, seed=2)}
    for part in parts.values():
        for batch in part:
            batch["image"] = batch["image"] - (batch["label"] - 1)[:, None, None, None]
    outcome = Segmentation().run(RawPixels(4), parts)
    assert outcome.metric == "mIoU"
    assert outcome.test > 0.95
    assert outcome.chance == pytest.approx(0.25)  # half of the pixels right in one of two classes
    assert outcome.classes == 2


def test_every_block_is_tried(method, batches):
    parts = {"train": batches(32), "validation": batches(16, seed=1), "test": batches(16, seed=2)}
    assert list(Segmentation(strengths=(1e-3,)).run(method, parts).validation) == [1, 2]


def test_the_sample_is_bounded_and_even(batches):
    held, shares = Segmentation(tokens=100).sample(RawPixels(4), batches(64), 2, "cpu", None)
    assert [len(table) for table in held] == [100]
    assert 30 < float(shares[:, 1].sum()) < 70  # four deviations of 100 coins


def test_ignored_pixels_change_nothing(batches):
    def run(spoil):
        parts = {"train": batches(16), "validation": batches(16, seed=1), "test": batches(16, seed=2)}
        for batch in [batch for part in parts.values() for batch in part]:
            batch["segmentation"] = batch["segmentation"].clone()
            batch["segmentation"][:, :, 12:] = -1
            batch["image"][:, :, :, 12:] = spoil
        return Segmentation(strengths=(1e-3,)).run(RawPixels(4), parts)

    near, far = run(0.0), run(5.0)
    assert near.test == pytest.approx(far.test, abs=0.05)  # bilinear scores reach two pixels into their neighbours


def test_data_without_masks_are_refused(method, batches):
    parts = {part: [{"image": b["image"]} for b in batches(16)] for part in ("train", "validation", "test")}
    with pytest.raises(ValueError, match="no labels"):
        Segmentation().run(method, parts)
