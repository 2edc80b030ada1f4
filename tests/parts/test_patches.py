"""Pictures to patches and back, for any size and any number of channels."""

import pytest
import torch

from unmask.parts.ops.patches import pad_to_patches, patch_grid, patchify, unpatchify, valid_pixels


def test_a_patch_vector_is_row_column_channel_with_the_channel_fastest():
    image = torch.arange(2 * 4 * 6, dtype=torch.float32).reshape(1, 2, 4, 6)
    patches = patchify(image, 2)
    assert patches.shape == (1, 6, 8)
    second = [image[0, c, row, column].item() for row in (0, 1) for column in (2, 3) for c in (0, 1)]
    assert patches[0, 1].tolist() == second


def test_patches_go_along_the_rows_first():
    image = torch.zeros(1, 1, 4, 6)
    image[0, 0, 2:, :2] = 1
    assert patchify(image, 2)[0].mean(-1).tolist() == [0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("channels", range(1, 14))
def test_unpatchify_inverts_patchify_for_one_to_thirteen_channels(channels):
    image = torch.randn(2, channels, 6, 9, generator=torch.Generator().manual_seed(channels))
    assert torch.equal(unpatchify(patchify(image, 3), (2, 3), 3), image)


@pytest.mark.parametrize("height", [1, 3, 4, 5, 8, 9])
@pytest.mark.parametrize("width", [1, 4, 7, 12])
def test_sizes_that_do_not_divide_are_padded_at_the_bottom_and_right(height, width):
    image = torch.randn(1, 2, height, width, generator=torch.Generator().manual_seed(0))
    grid = patch_grid(height, width, 4)
    padded = unpatchify(patchify(image, 4), grid, 4)
    assert padded.shape[-2:] == (grid[0] * 4, grid[1] * 4)
    assert grid == (-(-height // 4), -(-width // 4))
    assert torch.equal(padded[..., :height, :width], image)
    assert torch.equal(padded, pad_to_patches(image, 4))
    padded[..., :height, :width] = 0
    assert not padded.any()


def test_a_grid_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="6 patches do not fill a grid of 2x2"):
        unpatchify(torch.zeros(1, 6, 4), (2, 2), 2)


def test_pictures_that_divide_have_no_padding_to_exclude():
    assert valid_pixels(torch.zeros(1, 3, 8, 8), None, 4) is None


def test_exactly_the_real_pixels_are_valid():
    image = torch.zeros(1, 3, 5, 6)
    valid = valid_pixels(image, None, 4)
    assert valid.sum() == 30
    assert valid.reshape(1, 2, 2, 4, 4)[0, 1, 1].tolist() == [[True, True, False, False]] + [[False] * 4] * 3


def test_missing_data_and_padding_are_excluded_together():
    given = torch.ones(1, 5, 6, dtype=torch.bool)
    given[0, 0, 0] = False
    assert valid_pixels(torch.zeros(1, 3, 5, 6), given, 4).sum() == 29
