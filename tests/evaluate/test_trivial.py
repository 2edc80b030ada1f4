"""Trivial predictors on cases worked by hand."""

import torch

from unmask.core import Mask
from unmask.evaluate.trivial import inpaint, nearest_seen, seen_places, trivial_pictures
from unmask.parts.ops.patches import patchify, unpatchify


def mask_seeing(*places, n=9):
    hidden = torch.ones(1, n, dtype=torch.bool)
    hidden[0, list(places)] = False
    return Mask.of(hidden)


def test_nearest_on_a_grid_of_three_by_three():
    # seen: 0 (top left) and 5 (right of the middle row); places 2, 4 are nearer to 5; 3 and 1 nearer to 0
    nearest = nearest_seen(seen_places(mask_seeing(0, 5)), (3, 3))
    assert nearest.tolist() == [[0, 0, 5, 0, 5, 5, 0, 5, 5]]


def test_nearest_takes_the_first_in_reading_order_among_equals():
    assert nearest_seen(seen_places(mask_seeing(1, 7)), (3, 3))[0, 3:6].tolist() == [1, 1, 1]


def test_nearest_patch_is_copied_pixel_by_pixel():
    patches = torch.arange(9 * 4.0).reshape(1, 9, 4)
    picture = trivial_pictures({"image": unpatchify(patches, (3, 3), 2)}, mask_seeing(0, 5), (3, 3), 2)["nearest"]
    assert patchify(picture, 2)[0, 8].tolist() == patches[0, 5].tolist()
    assert patchify(picture, 2)[0, 6].tolist() == patches[0, 0].tolist()


def test_a_constant_picture_is_predicted_exactly_by_all_but_the_mean_of_the_data():
    image = torch.tensor([1.5, -0.5])[None, :, None, None].expand(1, 2, 12, 12).clone()
    pictures = trivial_pictures({"image": image}, mask_seeing(3, 4), (3, 3), 4)
    assert pictures["mean"].eq(0).all()
    for name in ("visible", "nearest", "inpainted"):
        assert torch.allclose(pictures[name], image, atol=1e-6), name  # rounding of averages


def test_visible_mean_counts_visible_real_pixels_only():
    image = torch.zeros(1, 1, 6, 6)
    image[..., :2, :2] = torch.tensor([[1.0, 2.0], [3.0, 100.0]])
    valid = torch.ones(1, 6, 6, dtype=torch.bool)
    valid[0, 1, 1] = False
    picture = trivial_pictures({"image": image, "image_valid": valid}, mask_seeing(0), (3, 3), 2)["visible"]
    assert picture.unique().tolist() == [2.0]


def test_hidden_pixels_do_not_reach_any_trivial_prediction():
    image, mask = torch.randn(1, 3, 12, 12), mask_seeing(0, 5, 7)
    changed = patchify(image, 4).masked_fill(mask.hidden.unsqueeze(-1), 1e4)
    first = trivial_pictures({"image": image}, mask, (3, 3), 4)
    second = trivial_pictures({"image": unpatchify(changed, (3, 3), 4)}, mask, (3, 3), 4)
    for name in first:
        hidden = mask.hidden
        assert torch.equal(patchify(first[name], 4)[hidden], patchify(second[name], 4)[hidden]), name


def test_inpainting_keeps_known_pixels_and_continues_a_ramp():
    ramp = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
    known = torch.ones(1, 16, 16, dtype=torch.bool)
    known[0, 4:12, 4:12] = False
    filled = inpaint(ramp * known, known)
    assert torch.equal(filled[:, 0][known], ramp[:, 0][known])
    assert (filled - ramp).abs().max() < 0.05  # a ramp solves Laplace's equation; few relaxations leave 5 %


def test_pictures_that_do_not_divide_keep_their_size():
    pictures = trivial_pictures({"image": torch.randn(1, 3, 11, 10)}, mask_seeing(0, 4), (3, 3), 4)
    assert {picture.shape for picture in pictures.values()} == {(1, 3, 11, 10)}


def test_rows_that_see_different_counts_are_kept_apart():
    hidden = torch.tensor([[False, True, True, True], [False, False, True, True]])
    assert torch.equal(seen_places(Mask.of(hidden)), ~hidden)
