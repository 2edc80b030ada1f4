"""Disjoint masks: counts, unions, cells, padding."""

import pytest
import torch

from formulas import pictures
from unmask.core import Context
from unmask.methods import mae
from unmask.parts.masks.disjoint import DisjointMask, disjoint_masks


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def pair(sampler: DisjointMask, **batch):
    return sampler.pair(mae.tiny()[0], batch, Context(generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(
    ("ratio", "predicted", "hidden", "union"),
    [(0.6, 1.0, 118, 196), (0.75, 1.0, 147, 196), (0.75, 0.9, 147, 176), (0.3, 1.0, 59, 117), (0.75, 0.75, 147, 147)],
)
def test_each_hides_its_share_and_both_together_theirs(ratio, predicted, hidden, union):
    first, second = disjoint_masks(noise(3, 196), noise(3, 196, seed=1), ratio, predicted)
    assert first.hidden.sum(-1).tolist() == second.hidden.sum(-1).tolist() == [hidden] * 3
    assert (first.hidden | second.hidden).sum(-1).tolist() == [union] * 3


def test_a_predicted_share_equal_to_the_hidden_one_gives_the_same_mask_twice():
    first, second = disjoint_masks(noise(3, 100), noise(3, 100, seed=1), 0.75, 0.75)
    assert torch.equal(first.hidden, second.hidden)


def test_cells_are_hidden_whole_and_cover_the_picture_together():
    first, second = pair(DisjointMask(0.6, cell=2), image=pictures(3, 3, 32, 48))
    for mask in (first, second):
        cells = mask.hidden.reshape(3, 4, 2, 6, 2)
        assert (cells == cells[:, :, :1, :, :1]).all()
        assert mask.hidden.sum(-1).tolist() == [15 * 4] * 3  # 24 cells, 9 of them shown
    assert (first.hidden | second.hidden).all()


def test_a_grid_that_cells_do_not_divide_is_covered_all_the_same():
    first, second = pair(DisjointMask(0.5, cell=2), image=pictures(3, 3, 20, 12))
    assert first.hidden.shape == (3, 15)
    assert (first.hidden | second.hidden).all()
    assert (first.hidden ^ second.hidden).all()


@pytest.mark.parametrize("cell", [1, 2])
def test_padding_is_neither_seen_nor_hidden(cell):
    valid = torch.zeros(2, 32, 32, dtype=torch.bool)
    valid[0, :16, :], valid[1] = True, True
    image = pictures(2, 3, 32, 32)
    first, second = pair(DisjointMask(0.5, cell=cell), image=image, image_valid=valid)
    places = mae.tiny()[0].places({"image": image, "image_valid": valid})
    assert not ((first.hidden | second.hidden) & ~places).any()
    assert torch.equal(first.hidden | second.hidden, places)
    assert first.hidden.sum(-1).tolist() == [16, 32]


@pytest.mark.parametrize("settings", [{"predicted": 0.5}, {"predicted": 1.1}, {"cell": 0}, {"ratio": 0.0}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValueError, match=r"predicted share|at least 1|mask ratio"):
        DisjointMask(**settings)
