"""Hiding what is attended to teaches more than blocks or chance, hiding what is attended to least teaches less.

Arms: AttMask that hides the most attended places, the most attended but for hints, the least attended; and the same
with random and with block masks in place of attention, which cost nothing. All hide the same share of every large
crop, but for the hints, a tenth of it. Beside them the untrained teacher, and MAE with as many steps and for as long.
Measured: kNN and linear accuracy as in MAE's proof, of AttMask's arms on the teacher.
"""

from collections.abc import Sequence
from dataclasses import replace

from unmask.proofs.cost import equal_compute, side_by_side
from unmask.proofs.experiment import Arm, Findings, Laboratory, comparisons
from unmask.proofs.presets import Preset

FAMILY = True
PROBES = ("knn", "linear")
SETTINGS = {
    "head_outputs": 256,
    "head_hidden": 256,
    "head_bottleneck": 64,
    "local_crops": 2,
    "positions": "learned",
    "spread": 0.0,
    "probability": 1.0,
}
MOMENTUM = 0.99  # of the reference's short training
EPOCHS, BATCH = 2, 32  # of the small preset: a step takes several times as long as one of MAE
SMALLER = {"model": "64x4x4"}  # its network, for the same reason
NOTE = (
    "Small preset: so few steps lift a teacher little above the untrained one. Nearest neighbours find the five masks"
    " level; by the linear probe those that follow attention are behind random ones, clearly so with hints: they follow"
    " a teacher that has learned little itself. MAE learns more from as many steps. The reference compares after 100"
    " epochs of ImageNet."
)
PAIRS = (
    ("high", "random"),
    ("high", "block"),
    ("hint", "random"),
    ("hint", "block"),
    ("random", "low"),
    ("high", "low"),
    ("high", "untrained"),
    ("high", "mae"),
    ("high", "mae, equal compute"),
)


def arms_of(preset: Preset) -> list[Arm]:
    """What attention hides, three ways, then random places and blocks, the untrained teacher, and MAE."""
    if not preset.thorough:
        preset = replace(preset, settings={**preset.settings, **SMALLER}, batch=BATCH, epochs=EPOCHS)
    own = {name: value for name, value in preset.settings.items() if not name.startswith("decoder_")}
    masking = replace(preset, settings={**own, **SETTINGS, "momentum": MOMENTUM})
    high = masking.arm("high", "att_mask", hide="high")
    return [
        high,
        *(masking.arm(name, "att_mask", hide=name) for name in ("hint", "low")),
        *(replace(masking.arm(name, "att_mask"), mask=name) for name in ("random", "block")),
        replace(high, name="untrained", epochs=0),
        preset.arm("mae", "mae"),
    ]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    high, random, mae = arms[0], arms[3], arms[-1]
    costs = {
        "step cost, high to random": side_by_side(laboratory, high, random),
        "step cost, high to mae": side_by_side(laboratory, high, mae),
    }
    arms.append(equal_compute(mae, costs["step cost, high to mae"]))
    numbers = replace(laboratory, pixels=False).run(arms, seeds)
    claims = comparisons(numbers, PROBES, [(first, second, f"{first} above {second}") for first, second in PAIRS])
    return Findings(arms, seeds, numbers, claims, [NOTE], costs)
