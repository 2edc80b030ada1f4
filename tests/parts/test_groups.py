"""Groups of pixels: rectangles by hand, shares within one rectangle, alignment."""

import pytest
import torch

from unmask.core import Context
from unmask.parts.masks.groups import Groups, covered


def drawn(seed=0, **values) -> Context:
    return Context(generator=torch.Generator().manual_seed(seed), **values)


def test_rectangles_by_hand():
    """10x10, sides from 1 to 4: the first lies at row 4, column 0, 2 high, 3 wide; the second is cut at the corner."""
    noise = torch.tensor([[[0.5, 0.0, 0.34, 0.67], [0.99, 0.99, 0.9, 0.9], [0.0, 0.0, 0.0, 0.0]]])
    one = torch.zeros(10, 10, dtype=torch.bool)
    one[4:6, 0:3] = True
    assert torch.equal(covered(noise, torch.tensor([6.0]), (10, 10), 1, 0.4)[0], one)
    two = one.clone()
    two[8:10, 8:10] = True
    assert torch.equal(covered(noise, torch.tensor([7.0]), (10, 10), 1, 0.4)[0], two)


def test_at_least_the_share_is_covered_and_less_than_a_rectangle_more():
    shares = torch.linspace(0.05, 0.9, 200)
    for size in ((32, 32), (20, 48)):
        hidden = Groups()(shares, size, drawn())
        found = hidden.float().mean((1, 2))
        assert (found >= shares - 1e-6).all()
        assert (found < shares + 0.09).all()


def test_aligned_groups_are_constant_on_patches():
    hidden = Groups(align=4)(torch.full((50,), 0.6), (32, 24), drawn())
    cells = hidden.reshape(50, 8, 4, 6, 4).float().mean((2, 4))
    assert ((cells == 0) | (cells == 1)).all()
    assert (hidden.float().mean((1, 2)) >= 0.6).all()


def test_the_largest_side_may_be_one_patch_for_independent_patches():
    hidden = Groups(align=4, largest=4 / 32)(torch.full((50,), 0.6), (32, 32), drawn())
    cells = hidden.reshape(50, 8, 4, 8, 4).float().mean((2, 4))
    assert cells[:, :7, :7].mean().item() == pytest.approx(39 / 49, abs=0.02)  # the corner is never in the last line
    assert (hidden.sum((1, 2)) == 39 * 16).all()  # 0.6 of 64 patches, up to a whole one


def test_half_a_batch_is_covered_as_in_the_whole():
    whole = Groups()(torch.full((6,), 0.5), (16, 16), drawn(total=6))
    assert torch.equal(Groups()(torch.full((3,), 0.5), (16, 16), drawn(total=6, first=3)), whole[3:])


def test_wrong_settings_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="align 0 must be at least 1"):
        Groups(align=0)
    with pytest.raises(ValueError, match="aligned to 16 pixels do not fit 16x40"):
        Groups(align=16)(torch.full((2,), 0.5), (16, 40), drawn())
