"""How well missing parts of pictures are filled in: how near to the truth, and how sharp."""

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch

LEAST = 1e-12  # of a squared error, so that a perfect answer has a finite number


def signal_to_noise(
    made: Float[Tensor, "b c h w"], real: Float[Tensor, "b c h w"], where: Bool[Tensor, "b h w"]
) -> Float[Tensor, "b"]:
    """Decibels of a range of 1 over the root mean squared error of the chosen pixels (PSNR), per picture."""
    chosen = where.unsqueeze(1).to(made.dtype)
    count = chosen.sum((1, 2, 3)).clamp(min=1) * made.shape[1]
    return -10 * (((made - real).square() * chosen).sum((1, 2, 3)) / count).clamp(min=LEAST).log10()


def gradient_energy(image: Float[Tensor, "b c h w"], where: Bool[Tensor, "b h w"]) -> Float[Tensor, "b"]:
    """The mean squared difference of neighbours that are both chosen, per picture: low where a picture is blurred."""
    total, count = image.new_zeros(len(image)), image.new_zeros(len(image))
    for axis in (-2, -1):
        length = image.shape[axis] - 1
        both = where.narrow(axis, 0, length) & where.narrow(axis, 1, length)
        total = total + (image.diff(dim=axis).square().mean(1) * both).sum((1, 2))
        count = count + both.sum((1, 2))
    return total / count.clamp(min=1)


@torch.no_grad()
def inpainting(
    batches: Iterable[Batch],
    hide: Callable[[Batch], Bool[Tensor, "b h w"]],
    inpaint: Callable[[Batch, Bool[Tensor, "b h w"]], Float[Tensor, "b c h w"]],
    unit: Callable[[Float[Tensor, "b c h w"]], Float[Tensor, "b c h w"]],
) -> dict[str, float]:
    """Means over all pictures: `psnr` and `l1` of what was hidden, and `sharpness`, its gradients' energy over the
    truth's.

    hide: which pixels. inpaint: pictures with those filled in. unit: brings pictures to the range 0 to 1.
    Raises ValueError where there is nothing to fill in.
    """
    count, ratio, error, made_energy, real_energy = 0, 0.0, 0.0, 0.0, 0.0
    for batch in batches:
        hidden = hide(batch)
        made, real = unit(inpaint(batch, hidden)), unit(batch["image"])
        shares = hidden.sum((1, 2)).clamp(min=1)
        ratio += float(signal_to_noise(made, real, hidden).sum())
        error += float((((made - real).abs().mean(1) * hidden).sum((1, 2)) / shares).sum())
        made_energy += float(gradient_energy(made, hidden).sum())
        real_energy += float(gradient_energy(real, hidden).sum())
        count += len(real)
    if not count or not real_energy:
        raise ValueError("nothing was hidden that could be filled in; give pictures that are not of one colour")
    return {
        "psnr": ratio / count,
        "l1": error / count,
        "sharpness": made_energy / real_energy,
        "pictures": float(count),
    }
