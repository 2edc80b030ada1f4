"""Segmenting volumes: overlap worked by hand, and fine-tuning that leaves the method as it is."""

import math

import pytest
import torch

from unmask.evaluate.volume_tuning import SCHEDULES, dice_scores, overlap, tune
from unmask.methods.s3d_mae_medical import tiny


def batch() -> dict[str, torch.Tensor]:
    """Volumes whose bright half is a class."""
    _, found = tiny()
    found["volume"][..., :4] += 3
    return found | {"volume_segmentation": (torch.arange(8) < 4).long().expand(4, 8, 8, 8)}


def test_dice_is_worked_by_hand_and_unknown_where_a_class_is_in_neither():
    prediction, target = torch.tensor([0, 1, 1, 0, 1]), torch.tensor([0, 1, 0, 1, -1])
    found = dice_scores(prediction, target, 3)
    assert found[0] == pytest.approx(2 * 1 / (2 + 2))
    assert math.isnan(found[1])


def test_the_overlap_is_the_mean_over_volumes_of_every_class():
    class Fixed:
        def segment(self, batch):
            return torch.nn.functional.one_hot(batch["volume_segmentation"].clamp(max=1), 3).movedim(-1, 1).float()

    target = torch.zeros(2, 2, 2, 2, dtype=torch.long)
    target[0, 0], target[1, 0], target[1, 1] = 1, 1, 2
    found = overlap(Fixed(), [{"volume_segmentation": target}], 3)
    assert found.volumes == 2
    assert found.classes[1] == pytest.approx((1 + 2 * 4 / (8 + 4)) / 2)
    assert found.classes[2] == 0
    with pytest.raises(ValueError, match="no volumes with masks"):
        overlap(Fixed(), [], 3)


@pytest.mark.works("s3d_mae_medical")
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_fine_tuning_segments_and_leaves_the_method_as_it_is(schedule):
    torch.manual_seed(0)
    method, found = tiny()[0], batch()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    tuned = tune(method, [found] * 40, 2, steps=40, schedule=schedule, lr=1e-2)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    assert overlap(tuned, [found], 2).mean > 0.8


def test_the_decoder_alone_is_trained_first():
    method, found = tiny()[0], batch()
    early = tune(method, [found], 2, steps=40, lr=1e-2)
    assert all(torch.equal(a, b) for a, b in zip(early.encoder.parameters(), method.encoder.parameters(), strict=True))
    late = tune(method, [found] * 40, 2, steps=40, lr=1e-2)
    assert not torch.equal(late.encoder.stem.conv.weight, method.encoder.stem.conv.weight)


def test_half_precision_segments_as_well():
    torch.manual_seed(0)
    method, found = tiny()[0], batch()
    tuned = tune(method, [found] * 40, 2, steps=40, lr=1e-2, precision="bf16")
    assert all(value.dtype == torch.float32 for value in tuned.parameters())
    assert overlap(tuned, [found], 2, precision="bf16").mean > 0.8
