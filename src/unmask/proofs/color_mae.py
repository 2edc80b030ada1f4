"""The colour of the noise decides how hard the task is, and band-pass masks teach at least as much as white ones.

Arms: ColorMAE with green, red, blue, purple and white noise, at equal steps, which is equal compute: a mask costs the
same in every colour; and MAE, whose masks are white noise too. Measured: the training loss on the arm's own masks,
which orders the colours by the size of their holes, and kNN and linear accuracy as in MAE's proof.
"""

from collections.abc import Sequence
from dataclasses import replace

from unmask.parts.masks.colour import COLOURS
from unmask.proofs.cost import side_by_side
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference
from unmask.proofs.presets import Preset

FAMILY = True
PROBES = ("knn", "linear")
SETTLED = 0.5  # share of the training after which losses are compared
NOTE = (
    "Small preset: on 8x8 places and after 3 epochs the easier masks, blue and purple, give the better features and the"
    " hardest, red, the worst; the paper trains for 300 epochs and more, on 14x14 places."
)


def arms_of(preset: Preset) -> list[Arm]:
    """One arm per colour, then MAE."""
    return [*(preset.arm(name, "color_mae", colour=name) for name in COLOURS), preset.arm("mae", "mae")]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    laboratory = replace(laboratory, pixels=False)
    numbers = laboratory.run(arms, seeds)
    for arm in arms:
        for seed, row in zip(seeds, numbers[arm.name], strict=True):
            row["own loss"] = laboratory.training_loss(arm, seed, SETTLED)
    claims = []
    for harder, easier in (("red", "green"), ("green", "white"), ("white", "blue")):
        gap = difference(numbers, harder, easier, "own loss")
        claims.append(Claim(f"loss on their own masks: {harder} above {easier}", clear(gap), gap))
    for probe in PROBES:
        for other in ("white", "mae", "red", "blue", "purple"):
            gain = difference(numbers, "green", other, probe)
            claims.append(Claim(f"{probe}: green above {other}", clear(gain), gain))
    cost = side_by_side(laboratory, arms[1], arms[-1])
    return Findings(arms, seeds, numbers, claims, [NOTE], {"step cost, green to MAE": cost})
