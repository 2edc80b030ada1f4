import pytest
import torch

from unmask.core import Context
from unmask.methods.mae import tiny
from unmask.parts.masks.fixed import FixedMask

CHESS = (torch.arange(4)[:, None] + torch.arange(4)) % 2 == 1


def drawn(masks, samples=8, seed=0):
    method, _ = tiny()
    batch = {"image": torch.randn(samples, 3, 16, 16)}
    return FixedMask(masks)(method, batch, Context(generator=torch.Generator().manual_seed(seed)))


def test_one_mask_hides_the_same_of_every_sample():
    assert torch.equal(drawn(CHESS[None]).hidden, CHESS.flatten().expand(8, -1))


def test_of_several_masks_each_sample_draws_its_own():
    bank = torch.stack([CHESS, ~CHESS])
    hidden = drawn(bank).hidden
    rows = {tuple(row.tolist()) for row in hidden}
    assert rows == {tuple(mask.flatten().tolist()) for mask in bank}
    assert not torch.equal(hidden, drawn(bank, seed=3).hidden)


def test_masks_of_another_grid_are_refused():
    with pytest.raises(ValueError, match="grid of 2x8, the pictures have 4x4 patches"):
        drawn((torch.arange(16) % 2 == 0).view(1, 2, 8))


@pytest.mark.parametrize(
    "masks", [torch.zeros(1, 4, 4).bool(), torch.ones(1, 4, 4).bool(), torch.zeros(0, 4, 4).bool()]
)
def test_masks_that_hide_nothing_or_everything_are_refused(masks):
    with pytest.raises(ValueError, match="nothing or everything"):
        FixedMask(masks)
