"""Pictures to patch vectors and back."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def patch_grid(height: int, width: int, patch: int) -> tuple[int, int]:
    """How many patches cover the picture; a last incomplete row or column counts."""
    return -(-height // patch), -(-width // patch)


def pad_to_patches(image: Float[Tensor, "b c h w"], patch: int) -> Float[Tensor, "b c H W"]:
    """Zeros at the bottom and right until both sides are multiples of `patch`."""
    h, w = image.shape[-2:]
    rows, columns = patch_grid(h, w, patch)
    if (rows * patch, columns * patch) == (h, w):
        return image
    return F.pad(image, (0, columns * patch - w, 0, rows * patch - h))


def patchify(image: Float[Tensor, "b c h w"], patch: int) -> Float[Tensor, "b n k"]:
    """One vector per patch, rows first; within a vector row, column, channel (channel fastest).

    Pictures that do not divide are padded with zeros at the bottom and right.
    Source: He et al. 2022 (MAE), order nchpwq -> nhwpqc of the released code.
    """
    image = pad_to_patches(image, patch)
    b, c, h, w = image.shape
    x = image.reshape(b, c, h // patch, patch, w // patch, patch)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(b, (h // patch) * (w // patch), patch * patch * c)


def unpatchify(patches: Float[Tensor, "b n k"], grid: tuple[int, int], patch: int) -> Float[Tensor, "b c h w"]:
    """The inverse of `patchify` for a picture that divides."""
    b, n, k = patches.shape
    if n != grid[0] * grid[1]:
        raise ValueError(f"{n} patches do not fill a grid of {grid[0]}x{grid[1]}; pass the grid they were cut on")
    x = patches.reshape(b, grid[0], grid[1], patch, patch, k // (patch * patch))
    return x.permute(0, 5, 1, 3, 2, 4).reshape(b, -1, grid[0] * patch, grid[1] * patch)


def valid_pixels(
    image: Float[Tensor, "b c h w"], valid: Bool[Tensor, "b h w"] | None, patch: int
) -> Bool[Tensor, "b n p"] | None:
    """Which pixels of every patch are real, or None when all are."""
    h, w = image.shape[-2:]
    if valid is None and h % patch == 0 and w % patch == 0:
        return None
    if valid is None:
        valid = torch.ones(image.shape[0], h, w, dtype=torch.bool, device=image.device)
    return patchify(valid.unsqueeze(1).float(), patch).bool()
