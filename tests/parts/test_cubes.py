"""Clips cut into cubes: the order within and between, and back."""

import pytest
import torch

from formulas import pictures
from unmask.parts.ops.cubes import cube_grid, cubify, uncubify
from unmask.parts.targets.cubes import Cubes, cube_statistics

CUBE = (2, 3, 5)


def test_a_cube_holds_frame_row_column_and_channel_in_this_order():
    video = torch.arange(2 * 4 * 6 * 10.0).reshape(1, 2, 4, 6, 10)
    cubes = cubify(video, CUBE)
    assert cubes.shape == (1, 2 * 2 * 2, 2 * 3 * 5 * 2)
    at = cubes[0, 1 * 4 + 0 * 2 + 1].reshape(2, 3, 5, 2)  # the second time, the first rows, the second columns
    assert at[1, 2, 3, 0] == video[0, 0, 2 + 1, 2, 5 + 3]
    assert at[0, 1, 4, 1] == video[0, 1, 2, 1, 5 + 4]


def test_cubes_are_put_back_where_they_came_from():
    video = pictures(2, 3, 4, 6, 10)
    assert torch.equal(uncubify(cubify(video, CUBE), cube_grid(4, 6, 10, CUBE), CUBE), video)


def test_a_clip_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match=r"a clip of 4 frames of 7x10 cannot be cut into cubes of 2 frames of 3x5"):
        cubify(torch.zeros(1, 3, 4, 7, 10), CUBE)


def test_a_cube_that_never_changes_has_the_target_0():
    batch = {"video": torch.ones(1, 3, 4, 6, 10)}
    assert torch.equal(Cubes(CUBE)(batch).values, torch.zeros(1, 8, 90))


def test_a_normalised_target_is_undone_by_its_own_statistics():
    video = pictures(2, 3, 4, 6, 10)
    cubes, target = cubify(video, CUBE), Cubes(CUBE)
    found = target.pixels(target({"video": video}).values, *cube_statistics(cubes, 3))
    torch.testing.assert_close(found, cubes, atol=1e-5, rtol=1e-5)
    assert torch.equal(Cubes(CUBE, normalise=False)({"video": video}).values, cubes)
