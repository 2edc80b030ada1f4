import pytest
import torch

from unmask.evaluate.mixing import Mixing, cut_box, cutmix, erase_box, mixup


def two():
    image = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])
    return {"image": image}, torch.eye(2), torch.tensor([1, 0])


def test_mixup_of_a_case_worked_by_hand():
    batch, targets = mixup(*two(), 0.75)
    assert torch.allclose(batch["image"][0], torch.tensor(0.25))
    assert torch.allclose(targets, torch.tensor([[0.75, 0.25], [0.25, 0.75]]))


def test_cutmix_of_a_case_worked_by_hand():
    """A box of 2 x 3 of 16 pixels: the rest, 10 / 16, stays."""
    batch, targets = cutmix(*two(), (1, 0, 2, 3))
    assert float(batch["image"][0].sum()) == 6
    assert batch["image"][0, 0, 1:3, 0:3].all()
    assert torch.allclose(targets[0], torch.tensor([10 / 16, 6 / 16]))


def test_what_is_given_is_not_changed():
    batch, targets, order = two()
    before = batch["image"].clone()
    cutmix(batch, targets, order, (0, 0, 2, 2))
    Mixing(erasing=1.0)(batch, targets)
    assert torch.equal(batch["image"], before)
    assert torch.equal(targets, torch.eye(2))


def test_mixed_targets_sum_to_one():
    generator = torch.Generator().manual_seed(0)
    mixing, targets = Mixing(), torch.rand(8, 5, generator=generator).softmax(-1)
    for _ in range(50):
        _, mixed = mixing({"image": torch.randn(8, 3, 8, 8)}, targets)
        assert torch.allclose(mixed.sum(-1), torch.ones(8), atol=1e-6)


def test_valid_pixels_travel_with_their_picture():
    batch, targets, order = two()
    batch["image_valid"] = torch.stack([torch.zeros(4, 4, dtype=torch.bool), torch.ones(4, 4, dtype=torch.bool)])
    assert mixup(batch, targets, order, 0.5)[0]["image_valid"].all()
    assert int(cutmix(batch, targets, order, (0, 0, 2, 2))[0]["image_valid"][0].sum()) == 4


def test_a_box_has_the_share_of_the_area_and_ends_at_the_edge():
    assert cut_box(0.75, (0.5, 0.5), (8, 16)) == (2, 4, 4, 8)
    assert cut_box(0.75, (0.0, 0.99), (8, 16)) == (0, 11, 2, 5)
    assert cut_box(1.0, (0.5, 0.5), (8, 8))[2:] == (0, 0)


def test_an_erased_box_has_its_area_and_shape():
    assert erase_box(0.25, 1.0, (0.0, 0.99), (8, 8)) == (0, 4, 4, 4)
    assert erase_box(0.3, 3.3, (0.0, 0.0), (8, 8)) is None


def test_erasing_touches_the_chosen_share_of_pictures_in_one_box():
    image = torch.full((400, 2, 16, 16), 9.0)
    erased = (Mixing(0, 0, erasing=0.25).erase(image) != 9).any(1)
    share = float(erased.any(-1).any(-1).float().mean())
    assert 0.15 < share < 0.34  # 0.25, four deviations of 400, and boxes that do not fit
    one = erased[erased.any(-1).any(-1)][0]
    rows, columns = one.any(1).nonzero(), one.any(0).nonzero()
    assert one.sum() == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)


def test_nothing_asked_for_changes_nothing():
    batch, targets, _ = two()
    mixed, same = Mixing(0, 0, 0)(batch, targets)
    assert mixed is batch
    assert same is targets


def test_the_seed_decides():
    batch, targets, _ = two()
    first, again, other = (Mixing(seed=seed)(batch, targets)[0]["image"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_strengths_out_of_range_are_refused():
    for arguments in ({"mixup": -1.0}, {"erasing": 1.5}):
        with pytest.raises(ValueError, match="between 0 and 1"):
            Mixing(**arguments)
