"""Pictures made worse: blurred, coarse, noisy. All values between 0 (darkest) and 1 (brightest)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor


def gaussian_kernels(
    deviations: Float[Tensor, "b"], lengths: Int64[Tensor, "b"], longest: int
) -> Float[Tensor, "b longest"]:
    """Bell curves of these deviations in pixels, cut off at these odd lengths, each with sum 1."""
    offsets = torch.arange(longest, device=deviations.device) - longest // 2
    bells = torch.exp(-offsets.square() / (2 * deviations.unsqueeze(-1).square()))
    bells = bells * (offsets.abs() <= lengths.unsqueeze(-1) // 2)
    return bells / bells.sum(-1, keepdim=True)


def blurred(image: Float[Tensor, "b c h w"], kernels: Float[Tensor, "b k"]) -> Float[Tensor, "b c h w"]:
    """Every picture convolved with its kernel along rows and columns, reflected at the border without its last line.

    Raises ValueError where a picture is too small to be reflected.
    """
    b, c, h, w = image.shape
    reach = kernels.shape[-1] // 2
    if reach >= min(h, w):
        raise ValueError(f"a blur of {kernels.shape[-1]} pixels does not fit a picture of {h}x{w}; use a shorter one")
    weight = kernels.repeat_interleave(c, 0)[:, None, None].to(image.dtype)
    flat = F.pad(image.reshape(1, b * c, h, w), (reach,) * 4, mode="reflect")
    flat = F.conv2d(F.conv2d(flat, weight, groups=b * c), weight.mT, groups=b * c)
    return flat.reshape(b, c, h, w)


def coarse(image: Float[Tensor, "b c h w"], factor: int) -> Float[Tensor, "b c h w"]:
    """Made smaller by `factor` and larger again, bicubic and without antialiasing, cut off to 0 and 1 each time.

    Raises ValueError where nothing would be left of a picture.
    """
    h, w = image.shape[-2:]
    if min(h, w) < factor:
        raise ValueError(f"a picture of {h}x{w} cannot be made {factor} times smaller; use a smaller factor")
    small = F.interpolate(image, size=(h // factor, w // factor), mode="bicubic").clamp(0, 1)
    return F.interpolate(small, size=(h, w), mode="bicubic").clamp(0, 1)
