"""Block masks: rectangles, counts, grids."""

import pytest
import torch

from formulas import formula_noise, pictures, recorded
from unmask.core import Context
from unmask.methods import mae
from unmask.parts.masks.block import BlockMask, block_mask

REFERENCE = recorded(__file__, "block_mask_reference.json")  # how it was made is said in it


def context(seed: int = 0) -> Context:
    return Context(generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: f"{case['grid']}-{case['ratio']}")
def test_rectangles_are_the_reference_s(case):
    noise = formula_noise(200, 4).roll(case["start"], 0)[:160]
    rows, columns = case["grid"]
    hidden = block_mask(noise, (rows, columns), case["ratio"] * rows * columns)
    assert hidden.flatten().nonzero().flatten().tolist() == case["hidden"]


def test_one_rectangle_by_hand():
    # 36 places wanted of 12 x 12: an area halfway between 16 and 36, square, in the middle of where it fits
    noise = torch.tensor([[0.45, 0.5, 0.5, 0.5]])
    hidden = block_mask(noise, (12, 12), 36)
    assert hidden.nonzero().amin(0).tolist() == [4, 4]
    assert hidden.nonzero().amax(0).tolist() == [8, 8]
    assert hidden.sum() == 25


@pytest.mark.parametrize("grid", [(14, 14), (6, 20), (5, 3)])
def test_never_more_than_wanted_is_hidden(grid):
    for seed in range(10):
        noise = torch.rand(160, 4, generator=torch.Generator().manual_seed(seed))
        wanted = 0.4 * grid[0] * grid[1]
        assert 0 < block_mask(noise, grid, wanted).sum() <= wanted


def test_hidden_places_lie_together():
    model, image = mae.tiny(), pictures(16, 3, 64, 64)
    hidden = BlockMask(0.4)(model[0], {"image": image}, context()).hidden.float().reshape(-1, 16, 16) - 0.4
    neighbours = (hidden[..., 1:] * hidden[..., :-1]).mean() / hidden.square().mean()
    assert neighbours > 0.5


def test_counts_are_exact_where_asked_for_and_padding_is_left_alone():
    model, _ = mae.tiny()
    valid = torch.zeros(3, 32, 32, dtype=torch.bool)
    valid[0, :16, :16], valid[1:] = True, True
    batch = {"image": pictures(3, 3, 32, 32), "image_valid": valid}
    mask = BlockMask(0.5)(model, batch, context())
    assert mask.hidden.sum(-1).tolist() == [8, 32, 32]
    assert not (mask.hidden & ~model.places(batch)).any()
    loose = BlockMask(0.5, exact=False)(model, batch, context()).hidden
    assert (loose.sum(-1) <= torch.tensor([16, 32, 32])).all()


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="aspect 2"):
        BlockMask(aspect=2.0)
