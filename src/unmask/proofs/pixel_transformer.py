"""Single pixels as tokens do better than patches at equal resolution; what that costs is measured beside it.

Arms: the pixel transformer, and the same masked autoencoder (learned positions, plain pixels as targets) on patches of
2 and of 4; the patches of 2 again for as long as a pixel training takes; the pixel transformer untrained, and in full
also with positions that know of neighbours. Pictures are small, so that single pixels can be paid for.
Measured: kNN and linear accuracy as in MAE's proof. At equal compute the paper claims nothing: it is reported.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from unmask.proofs.cost import equal_compute, side_by_side
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference
from unmask.proofs.presets import Preset

FAMILY = True
PROBES = ("knn", "linear")
NOTE = (
    "Small preset: by a linear probe pixels are clearly above patches of 4; what they have over patches of 2 three"
    " seeds do not tell from chance, and nearest neighbours tell pixels from neither. On a GPU a step of networks this"
    " small costs what launching its kernels costs, so pixels seem to cost no more than patches; where arithmetic"
    " counts they pay for four times the tokens of patches of 2."
)
SIDE = 16  # pixels along a side: 256 tokens
LEARNED: dict[str, Any] = {"positions": "learned", "normalise": False}


def arms_of(preset: Preset) -> list[Arm]:
    """Pixels, patches of 2, patches of 4, pixels untrained, and in full pixels with known neighbours, in this order."""
    shared = {name: value for name, value in preset.settings.items() if name != "patch_size"} | {"image_size": SIDE}
    preset = replace(preset, settings=shared)
    pixels = preset.arm("pixels", "pixel_transformer")
    two, four = (preset.arm(f"patches of {side}", "mae", **LEARNED, patch_size=side) for side in (2, 4))
    known = preset.arm("pixels, known neighbours", "pixel_transformer", positions="sincos")
    arms = [pixels, two, four, replace(pixels, name="pixels, untrained", epochs=0)]
    return [*arms, known] if preset.thorough else arms


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    longer = side_by_side(laboratory, arms[0], arms[1])
    equal = equal_compute(arms[1], longer)
    numbers = laboratory.run([*arms, equal], seeds)
    claims: list[Claim] = []
    extra: dict[str, Any] = {"training time, pixels to patches of 2": longer}
    for probe in PROBES:
        for other in ("patches of 2", "patches of 4", "pixels, untrained"):
            gain = difference(numbers, "pixels", other, probe)
            claims.append(Claim(f"{probe}: pixels above {other}", clear(gain), gain))
        for other in (equal.name, *(arm.name for arm in arms[4:])):
            extra[f"{probe}: pixels minus {other}"] = difference(numbers, "pixels", other, probe)
    return Findings([*arms, equal], seeds, numbers, claims, [NOTE], extra)
