"""Guesses of hidden cubes: exact where a clip is what they assume."""

import torch

from unmask.core import Context
from unmask.evaluate.monitor import PREDICTORS, held_out
from unmask.evaluate.trivial_videos import guessed_videos
from unmask.methods.videomae import tiny
from unmask.parts.masks.random import RandomMask
from unmask.parts.masks.tube import FrameMask


def test_a_clip_in_which_nothing_moves_is_copied_from_the_nearest_frame():
    method, batch = tiny()
    still = {"video": batch["video"][:, :, :1].expand_as(batch["video"]).contiguous()}
    mask = FrameMask(0.5)(method, still, Context(generator=torch.Generator().manual_seed(0)))
    assert torch.equal(guessed_videos(method, still, mask)["nearest"], still["video"])


def test_a_clip_of_one_colour_is_guessed_by_all_but_the_mean_of_the_data():
    method, batch = tiny()
    plain = {"video": torch.full_like(batch["video"], 2.0)}
    found = guessed_videos(method, plain, RandomMask(0.5)(method, plain, Context()))
    assert set(found) == set(PREDICTORS)
    assert torch.equal(found["mean"], torch.zeros_like(plain["video"]))
    for name in ("visible", "nearest", "inpainted"):
        torch.testing.assert_close(found[name], plain["video"], atol=1e-5, rtol=1e-5)


def test_held_out_numbers_compare_with_every_guess():
    method, batch = tiny()
    found = held_out(method, [batch], sampler=RandomMask(0.75), guess=guessed_videos)
    assert all(found[f"trivial/{name}"] > 0 for name in PREDICTORS)
    assert found["loss"] > 0
