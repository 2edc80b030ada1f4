"""Farthest points and nearest points on cases worked by hand and against a plain loop, and patches of both."""

import pytest
import torch

from unmask.parts.ops.points import CENTRE, farthest_points, grouped, nearest_points, points_at


def clouds(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def looped(cloud: torch.Tensor, count: int, skip: bool) -> list[int]:
    """The kernel of pointnet2_ops, one point at a time."""
    temp, found = [1e10] * len(cloud), [0]
    while len(found) < count:
        best, place = -1.0, 0
        for k, point in enumerate(cloud):
            if skip and float(point.square().sum()) <= CENTRE:
                continue
            temp[k] = min(temp[k], float((point - cloud[found[-1]]).square().sum()))
            if temp[k] > best:
                best, place = temp[k], k
        found.append(place)
    return found


def test_points_on_a_line_are_chosen_from_the_ends_inwards():
    line = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0])[:, None] * torch.tensor([1.0, 0.0, 0.0])
    assert farthest_points(line[None], 3).tolist() == [[0, 4, 2]]


@pytest.mark.parametrize("skip", [False, True])
def test_farthest_points_are_those_of_the_plain_loop(skip):
    points = clouds(2, 40, 3)
    points[:, 7] = torch.tensor([0.01, 0.0, 0.02])
    found = farthest_points(points, 12, skip)
    assert found.tolist() == [looped(cloud, 12, skip) for cloud in points]


def test_points_near_the_origin_are_left_out_only_if_asked():
    points = torch.tensor([[[1.0, 0, 0], [0.0, 0, 0], [0.9, 0, 0]]])
    assert farthest_points(points, 2).tolist() == [[0, 1]]
    assert farthest_points(points, 2, skip_centre=True).tolist() == [[0, 2]]


def test_nearest_points_come_nearest_first_and_begin_with_the_centre_itself():
    points = clouds(3, 50, 3)
    centres = points[:, [4, 9]]
    found = nearest_points(points, centres, 6)
    assert found[..., 0].tolist() == [[4, 9]] * 3
    distance = (points[:, None] - centres[:, :, None]).norm(dim=-1)
    expected = distance.sort(-1).values[..., :6]
    torch.testing.assert_close(distance.gather(-1, found), expected)


def test_far_from_the_origin_neighbours_are_still_exact():
    """Products of large coordinates would lose the distances."""
    points = clouds(1, 64, 3)
    shift = torch.tensor([2048.0, -1024.0, 512.0])
    assert torch.equal(nearest_points((points + shift), (points + shift)[:, :4], 5)[..., 0], torch.arange(4)[None])


def test_patches_are_relative_to_their_centres():
    points = clouds(2, 64, 3)
    found = grouped(points, 8, 5)
    assert found.centres.shape == (2, 8, 3)
    assert found.patches.shape == (2, 8, 5, 3)
    assert not found.patches[:, :, 0].any()
    back = (found.patches + found.centres.unsqueeze(2)).flatten(1, 2)
    distance = torch.cdist(back, points, compute_mode="donot_use_mm_for_euclid_dist").amin(-1)
    assert distance.max() < 1e-6  # added and taken away again in float32


def test_identical_points_give_patches_of_zeros():
    found = grouped(torch.ones(1, 20, 3), 4, 5)
    assert not found.patches.any()


def test_places_of_any_shape_pick_points():
    points = clouds(2, 10, 3)
    places = torch.tensor([[[0, 1], [2, 3]], [[4, 5], [6, 7]]])
    assert torch.equal(points_at(points, places)[1, 1, 0], points[1, 6])


def test_more_points_than_there_are_cannot_be_asked_for():
    with pytest.raises(ValueError, match="65 of 64 points"):
        farthest_points(clouds(1, 64, 3), 65)
    with pytest.raises(ValueError, match="65 neighbours are not among 64 points"):
        nearest_points(clouds(1, 64, 3), clouds(1, 2, 3), 65)
