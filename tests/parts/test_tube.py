"""Tubes and frames: exact counts, what is alike in time, and grids that they are not for."""

import pytest
import torch

from unmask.core import Context
from unmask.methods.videomae import tiny
from unmask.parts.masks.random import RandomMask
from unmask.parts.masks.tube import FrameMask, TubeMask
from unmask.parts.nets.vit import ViT

GRID = (2, 4, 4)  # of the clips of `tiny`


def drawn(sampler, seed: int = 0) -> torch.Tensor:
    method, batch = tiny()
    context = Context(generator=torch.Generator().manual_seed(seed))
    return sampler(method, batch, context).hidden.unflatten(-1, GRID)


def test_a_tube_hides_the_same_places_at_every_time():
    hidden = drawn(TubeMask(0.7))
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    assert hidden.sum((1, 2, 3)).tolist() == [22] * 4  # twice int(0.7 * 16)
    assert not torch.equal(hidden[0], hidden[1])
    assert not torch.equal(hidden, drawn(TubeMask(0.7), seed=1))


def test_a_frame_is_hidden_as_a_whole():
    hidden = drawn(FrameMask(0.5))
    assert hidden.flatten(2).all(-1).sum(-1).tolist() == [1] * 4
    assert hidden.flatten(2).any(-1).sum(-1).tolist() == [1] * 4


def test_random_places_are_hidden_on_a_grid_with_time():
    hidden = drawn(RandomMask(0.75))
    assert hidden.sum((1, 2, 3)).tolist() == [24] * 4
    assert not torch.equal(hidden[:, 0], hidden[:, 1])


@pytest.mark.parametrize("sampler", [TubeMask(), FrameMask()])
def test_pictures_have_no_time(sampler):
    class Model:
        encoder = ViT("16x1x2", 16, 4)

    with pytest.raises(ValueError, match="these places lie on a grid of 4x4, without a time"):
        sampler(Model(), {"image": torch.zeros(1, 3, 16, 16)}, Context())
