"""What to hide: every sampler under one recipe, at equal compute.

Arms: MAE with each sampler in turn; one whose masks cost something is trained for fewer steps, by the measured cost of
its step. Measured: kNN and linear accuracy as in MAE's proof, accuracy after fine-tuning on few labels, the loss on the
arm's own masks, and on pictures large enough for it the accuracy of a segmentation probe on street scenes.
"""

from collections.abc import Sequence
from dataclasses import replace

from unmask.proofs.cost import side_by_side
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference
from unmask.proofs.few_labels import add_few_labels
from unmask.proofs.presets import Preset
from unmask.proofs.scenes import NAME, add_segmentation

FAMILY = True
DATA = ("cifar10.tar", "clothing10.tar")
SIZES = {"clothing10.tar": {"image_size": 96, "patch_size": 12}}  # where pictures are larger than the preset's
MASKS = (
    *("block", "colour:red", "colour:green", "colour:blue", "hard", "attention"),
    *("ncut", "ncut:cut_side=interior"),
)
FREE = ("block", "colour")
GUIDED = dict.fromkeys(FREE, 0.0) | {"hard": 1.0, "attention": 1.0, "ncut": 0.875}  # share of the steps that cost more
TUNED = 20  # epochs on few labels: no arm starts from scratch
NOTE = (
    "Small preset: at equal compute no mask is clearly above random by all probes, and blue noise alone by any. Masks"
    " that follow the network's own attention or cuts of its features are below: they pay for every step, so end with"
    " fewer, and guide by features that are young in networks this small. Blocks were taken as free; on a GPU, whose"
    " steps are this short, drawing them was not, and their arms had more time than the others."
)
SETTLED = 0.5  # share of the training after which losses are compared


def arms_of(laboratory: Laboratory, preset: Preset) -> list[Arm]:
    """Random masks first, then every other sampler, shortened by what its step costs."""
    name = laboratory.data.name
    if name in SIZES:
        more = max(1.0, laboratory.limit / laboratory.count)  # as many pictures pass as of a large set
        preset = replace(
            preset,
            settings={**preset.settings, **SIZES[name]},
            epochs=round(preset.epochs * more, 2),
            warmup=round(preset.warmup * more, 2),
        )
    plain = preset.arm("random", "mae")
    arms = [plain]
    for mask in MASKS:
        arm = replace(plain, name=mask, mask=mask)
        share = GUIDED[mask.partition(":")[0]]
        if share:
            cost = side_by_side(laboratory, arm, plain)
            arm = replace(arm, epochs=round(arm.epochs / max(1 - share + share * cost, 1.0), 2))
        arms.append(arm)
    return arms


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(laboratory, preset)
    laboratory = replace(laboratory, pixels=False)
    numbers = laboratory.run(arms, seeds)
    add_few_labels(laboratory, arms, seeds, numbers, TUNED)
    for arm in arms:
        for seed, row in zip(seeds, numbers[arm.name], strict=True):
            row["own loss"] = laboratory.training_loss(arm, seed, SETTLED)
    notes = add_segmentation(laboratory, arms, seeds, numbers) if laboratory.data.name in SIZES else []
    measured = [probe for probe in ("knn", "linear", "few labels", NAME) if probe in numbers["random"][0]]
    claims = []
    for mask in MASKS:
        for probe in measured:
            gain = difference(numbers, mask, "random", probe)
            claims.append(Claim(f"{probe}: {mask} above random at equal compute", clear(gain), gain))
    return Findings(arms, seeds, numbers, claims, [*notes, NOTE])
