"""Masks that complete each other, and a task for what is shown, learn more from as many encoded pictures.

Arms, all with the same target and two masks of single patches a step: two random masks, disjoint masks, disjoint masks
and the task of the shown places. Besides, MAE with twice the steps, which encodes as many masked pictures, and with the
steps that the last arm's time allows. Measured: kNN and linear accuracy as in MAE's proof.
"""

from collections.abc import Sequence
from dataclasses import replace

from unmask.proofs.cost import in_quarters, side_by_side
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference
from unmask.proofs.presets import Preset

FAMILY = True
PROBES = ("knn", "linear")
NOTE = (
    "Small preset: among the arms with oriented gradients as target the means stand in the paper's order, two random"
    " masks, disjoint ones, disjoint ones and the task of the shown places, and each step up is clear by one of the"
    " two probes. MAE, which predicts pixels, is above all of them with as many views: in patches of 4x4 pixels"
    " oriented gradients say little. The paper compares after 800 such views of every picture."
)
SINGLE = {"cell": 1}  # patches that are hidden together, as where masks are random


def arms_of(preset: Preset) -> list[Arm]:
    """Two random masks, disjoint ones, the same with the task of the shown places, and MAE with twice the steps."""
    disjoint = preset.arm("disjoint", "dmjd", shown=0.0, **SINGLE)
    return [
        replace(disjoint, name="two random", mask="random"),
        disjoint,
        preset.arm("disjoint, distilled", "dmjd", **SINGLE),
        preset.arm("mae, as many views", "mae", longer=2.0),
    ]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    both, mae = arms[2], preset.arm("mae", "mae")
    ratio = side_by_side(laboratory, both, mae)
    arms.append(preset.arm("mae, equal compute", "mae", longer=in_quarters(ratio)))
    numbers = replace(laboratory, pixels=False).run(arms, seeds)
    claims = []
    for probe in PROBES:
        for first, second in (
            ("disjoint", "two random"),
            ("disjoint, distilled", "disjoint"),
            ("disjoint, distilled", "mae, as many views"),
            ("disjoint, distilled", "mae, equal compute"),
        ):
            gain = difference(numbers, first, second, probe)
            claims.append(Claim(f"{probe}: {first} above {second}", clear(gain), gain))
    views = {arm.name: (1 if arm.method == "mae" else 2) * arm.epochs for arm in arms}
    return Findings(
        arms, seeds, numbers, claims, [NOTE], {"masked views of a picture": views, "step cost to MAE": ratio}
    )
