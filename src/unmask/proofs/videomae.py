"""Nine tenths can be hidden if they are hidden in tubes; what is learned shows in motion, and with few labels.

Clips are windows that move over photographs; the label is the direction. Arms: VideoMAE; the same network with random
and with frame masks of the same ratio; the same untrained. Measured: kNN and linear accuracy of the direction on the
test part; the loss at the end on the arm's own masks, which is lower where what is hidden can be copied from another
frame; and the accuracy after fine-tuning on a tenth of the labels, pretrained and from scratch.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, comparisons, difference, summary
from unmask.proofs.few_labels import tuned_on_few
from unmask.proofs.presets import Preset

DATA = ("moving:clothing10.tar",)
SMALL = 20_000  # training samples up to which a preset counts as small
PROBES = ("knn", "linear")
MASKS = (("random places", "random"), ("whole frames", "frame"))
NOTE = (
    "In clips that are pans over photographs all motion is the camera's, and whole hidden frames ask for it directly;"
    " the paper's clips have motion of objects. Losses are close because few steps leave all arms near their plateau."
)
RATE, BATCH, LATE = 8e-3, 32, 0.9  # the first per 256 samples; share of the training after which the loss is taken
EPOCHS = {True: 8, False: 200}
FEW, TUNED = 300, {True: 20, False: 100}  # labels, and epochs on them
SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"model": "96x4x3", "decoder_width": 48, "decoder_depth": 1, "decoder_heads": 3, "patch_size": 8},
    False: {"model": "192x6x3", "decoder_width": 96, "decoder_depth": 2, "decoder_heads": 3, "patch_size": 4},
}
SHARED: dict[str, Any] = {"image_size": 32, "frames": 8, "stride": 2, "ratio": 0.9}


def arms_of(preset: Preset) -> list[Arm]:
    """Tubes, random places, whole frames, untrained, in this order."""
    small = preset.limit <= SMALL
    settings = {**SHARED, **SETTINGS[small]}
    tubes = Arm("tubes", "videomae", settings, EPOCHS[small], RATE, BATCH, EPOCHS[small] / 10)
    others = [replace(tubes, name=name, mask=f"{word}:ratio=0.9") for name, word in MASKS]
    return [tubes, *others, replace(tubes, name="untrained", epochs=0)]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    quick = replace(laboratory, pixels=False)
    numbers = quick.run(arms, seeds)
    pairs = [("tubes", "untrained", "tubes above the untrained network")]
    pairs += [("tubes", name, f"tubes above {name}") for name, _ in MASKS]
    claims = comparisons(numbers, PROBES, pairs)
    for arm in arms[1:3]:
        harder = [quick.training_loss(arms[0], seed, LATE) - quick.training_loss(arm, seed, LATE) for seed in seeds]
        found = summary(harder)
        claims.append(Claim(f"loss on its own masks: lower with {arm.name}, which leak", clear(found), found))
    epochs = TUNED[preset.limit <= SMALL]
    for arm in (arms[0], arms[-1]):
        for seed, row in zip(seeds, numbers[arm.name], strict=True):
            row["few labels"] = quick.noted(
                arm, seed, f"few labels {FEW}, {epochs}", partial(tuned_on_few, quick, arm, seed, FEW, epochs)
            )
    gain = difference(numbers, "tubes", "untrained", "few labels")
    claims.append(Claim(f"fine-tuned on {FEW} labels: pretrained above from scratch", clear(gain), gain))
    return Findings(arms, seeds, numbers, claims, [NOTE])
