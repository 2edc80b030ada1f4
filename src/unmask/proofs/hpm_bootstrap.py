"""Hard patches help whatever is predicted: pixels, or the slow copy's own features.

Arms: pixels and features, each with hard and with random masks; features with masks that are hard from the start; MAE
on unnormalised pixels at the steps of the others and at the compute of hard masks for features. Measured: kNN and
linear accuracy as in MAE's proof.
"""

from collections.abc import Sequence
from dataclasses import replace

from unmask.parts.nets.lag import lagging
from unmask.proofs.cost import in_quarters, side_by_side
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference
from unmask.proofs.presets import Preset

FAMILY = True
PROBES = ("knn", "linear")
NOTE = (
    "Small preset: an easy start matters, masks that are hard from the beginning are clearly below. Hard masks with"
    " an easy start are level with random ones whatever is predicted; what lifts pixels above MAE is the second task,"
    " which both have. The features of a copy that has seen three epochs are a poorer target than pixels."
)


def arms_of(preset: Preset) -> list[Arm]:
    """For each target hard and random masks; features without an easy start; MAE."""
    decay = lagging(preset.epochs * preset.limit / preset.batch)
    targets = [
        preset.arm(f"{target}, {masks}", "hpm_bootstrap", target=target, decay=decay, **change)
        for target in ("pixels", "features")
        for masks, change in (("hard", {}), ("random", {"end": 0.0}))
    ]
    at_once = preset.arm("features, hard at once", "hpm_bootstrap", target="features", decay=decay, start=0.5)
    return [*targets, at_once, preset.arm("mae", "mae", normalise=False)]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    hard, mae = arms[2], arms[-1]
    ratio = side_by_side(laboratory, hard, mae)
    arms.append(preset.arm("mae, equal compute", "mae", longer=in_quarters(ratio), normalise=False))
    numbers = replace(laboratory, pixels=False).run(arms, seeds)
    claims = []
    for probe in PROBES:
        for first, second in (
            ("pixels, hard", "pixels, random"),
            ("features, hard", "features, random"),
            ("features, hard", "features, hard at once"),
            ("pixels, hard", "mae"),
            ("features, hard", "mae, equal compute"),
        ):
            gain = difference(numbers, first, second, probe)
            claims.append(Claim(f"{probe}: {first} above {second}", clear(gain), gain))
    return Findings(arms, seeds, numbers, claims, [NOTE], {"step cost, features to MAE": ratio})
