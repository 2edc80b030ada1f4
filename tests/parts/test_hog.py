"""Histograms of oriented gradients: edges by hand, padding, sizes."""

import pytest
import torch

from formulas import pictures
from unmask.parts.nets.vit import ViT
from unmask.parts.targets.hog import Hog, gradients, oriented_histograms


def hog(patch: int = 8, cells: int = 2, channels: int = 3) -> Hog:
    return Hog(ViT("16x1x2", 32, patch, channels), cells)


def test_a_vertical_edge_falls_into_the_first_bin_and_a_horizontal_one_into_the_middle():
    image = torch.zeros(1, 1, 8, 8)
    image[..., 4:] = 1.0
    everywhere = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    for picture, bin in ((image, 0), (image.transpose(-1, -2), 4)):
        found = oriented_histograms(*gradients(picture, everywhere), 8, 9)
        expected = torch.zeros(1, 9, 1, 1)
        expected[0, bin] = 16 / 64  # two lines of eight pixels, the mean over the cell
        torch.testing.assert_close(found, expected)


def test_borders_have_no_gradient_across_them():
    everywhere = torch.ones(1, 1, 5, 6, dtype=torch.bool)
    rows, columns = gradients(pictures(1, 1, 5, 6), everywhere)
    assert not rows[..., [0, -1], :].any()
    assert not columns[..., [0, -1]].any()
    assert rows[..., 1:-1, :].all()


@pytest.mark.parametrize(("size", "patch"), [((32, 32), 8), ((20, 28), 4), ((13, 10), 4), ((2, 5), 4)])
def test_every_patch_has_its_numbers_whatever_the_size(size, patch):
    target = hog(patch)
    image = pictures(2, 3, *size)
    values = target({"image": image}).values
    assert values.shape == (2, -(-size[0] // patch) * -(-size[1] // patch), target.outputs)
    assert values.isfinite().all()


def test_the_bins_of_a_cell_and_channel_have_mean_0_and_deviation_1():
    values = hog()({"image": pictures(2, 3, 32, 32)}).values.reshape(2, 16, 4, 9, 3)
    torch.testing.assert_close(values.mean(3), torch.zeros(2, 16, 4, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(values.square().mean(3), torch.ones(2, 16, 4, 3), rtol=0, atol=1e-3)


def test_contrast_does_not_matter():
    image = pictures(2, 3, 32, 32)
    first, second = (hog()({"image": image * scale + 1}).values for scale in (1.0, 3.0))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-3)


def test_padding_does_not_change_the_target():
    small = pictures(2, 3, 13, 10)
    canvas, valid = torch.full((2, 3, 24, 24), 9.0), torch.zeros(2, 24, 24, dtype=torch.bool)
    canvas[..., :13, :10], valid[:, :13, :10] = small, True
    target = hog(4)
    alone, padded = target({"image": small}), target({"image": canvas, "image_valid": valid})
    inside = torch.zeros(6, 6, dtype=torch.bool)
    inside[:4, :3] = True
    assert torch.equal(padded.real[:, inside.flatten()], alone.real)
    assert not padded.real[:, ~inside.flatten()].any()
    found = padded.values[:, inside.flatten()]
    torch.testing.assert_close(found[alone.real], alone.values[alone.real], rtol=0, atol=1e-5)


def test_a_flat_picture_has_a_finite_target():
    assert not hog()({"image": torch.ones(1, 3, 16, 16)}).values.any()


def test_cells_that_do_not_divide_the_patch_are_refused():
    with pytest.raises(ValueError, match="patches of 5 pixels cannot be divided into 2 cells"):
        hog(5)
    with pytest.raises(ValueError, match="say nothing of a direction"):
        Hog(ViT("16x1x2", 32, 8), orientations=1)
