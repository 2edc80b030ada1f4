"""Corruptions of whole pictures: some frequencies, sharpness or detail are taken away, or noise is added."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Context, check_choice
from unmask.parts.ops.degradation import blurred, coarse, gaussian_kernels
from unmask.parts.ops.frequencies import disc, filtered

KINDS = ("frequencies", "resolution", "blur", "noise", "mixed")
SHARE = 16 / 224  # of the shorter side: the radius that Xie et al. 2023 use
LEVELS = 255.0  # noise is given in steps of 8-bit pictures
LENGTHS = (7, 21)  # of the kernels of a blur, in pixels: the odd numbers from the first to the second


class Corrupted(NamedTuple):
    """Corrupted pictures, and the frequencies that were taken away where it is known which."""

    values: Float[Tensor, "b c h w"]
    removed: Bool[Tensor, "b h w"] | None = None


class Corruption:
    """What is done to pictures whose values lie between 0 and 1.

    kind: "frequencies" keeps a disc of low ones or takes it away; "resolution", "blur", "noise"; "mixed" draws one of
        these three for every picture.
    radius: of the disc; None: 16 for a shorter side of 224, in proportion. outer: frequencies from there on are treated
        as those in the disc. low: how often the disc is what is kept.
    factor: how many times smaller a picture is made. blur: least and largest deviation in pixels. noise: least and
        largest deviation in steps of 1/255; noisy values are not cut off.
    Source: Xie et al. 2023 (MFM), section 3, and the configurations released with it.
    """

    def __init__(
        self,
        kind: str = "frequencies",
        radius: float | None = None,
        outer: float | None = None,
        low: float = 0.5,
        factor: int = 8,
        blur: tuple[float, ...] = (5.0, 5.0),
        noise: tuple[float, ...] = (75.0, 75.0),
    ):
        check_choice("corruption", kind, KINDS)
        if radius is not None and not 0 < radius < (outer or float("inf")):
            raise ValueError(f"radius {radius} must lie above 0 and below the outer one, {outer}")
        if not 0 <= low <= 1:
            raise ValueError(f"low {low} is not a share of the pictures; choose a number in [0, 1]")
        if factor < 2:
            raise ValueError(f"factor {factor} takes no detail away; choose 2 or more")
        for name, span in (("blur", blur), ("noise", noise)):
            if len(span) != 2 or not 0 < span[0] <= span[1]:
                raise ValueError(f"{name} {span} is not a least and a largest deviation above 0, such as 1,5")
        self.kind = kind
        self.radius = radius
        self.outer = outer
        self.low = low
        self.factor = factor
        self.blur = blur
        self.noise = noise

    def __call__(self, values: Float[Tensor, "b c h w"], context: Context) -> Corrupted:
        if self.kind == "frequencies":
            return self.without_frequencies(values, context.uniform(len(values), device=values.device) < self.low)
        if self.kind != "mixed":
            return Corrupted(self._degraded(self.kind, values, context))
        chosen = (3 * context.uniform(len(values), device=values.device)).long().view(-1, 1, 1, 1)
        for number, kind in enumerate(("resolution", "blur", "noise")):
            values = torch.where(chosen == number, self._degraded(kind, values, context), values)
        return Corrupted(values)

    def without_frequencies(self, values: Float[Tensor, "b c h w"], low: Bool[Tensor, "b"]) -> Corrupted:
        """Low: where the disc is kept rather than taken away. Values are cut off to 0 and 1."""
        h, w = values.shape[-2:]
        inside = disc(h, w, self.radius or SHARE * min(h, w), self.outer).to(values.device)
        if inside.all() or not inside.any():
            raise ValueError(f"radius {self.radius} leaves nothing to take away from pictures of {h}x{w}; change it")
        kept = inside == low.view(-1, 1, 1)
        return Corrupted(filtered(values, kept).clamp(0, 1), ~kept)

    def _degraded(self, kind: str, values: Float[Tensor, "b c h w"], context: Context) -> Float[Tensor, "b c h w"]:
        if kind == "resolution":
            return coarse(values, self.factor)
        draw = context.uniform(len(values), 2, device=values.device)
        least, most = self.blur if kind == "blur" else self.noise
        deviations = least + (most - least) * draw[:, 0]
        if kind == "noise":
            noise = context.normal(*values.shape, device=values.device)
            return values + noise * deviations.view(-1, 1, 1, 1) / LEVELS
        shortest, longest = LENGTHS
        lengths = shortest + 2 * (draw[:, 1] * ((longest - shortest) // 2 + 1)).long()
        return blurred(values, gaussian_kernels(deviations, lengths, longest))
