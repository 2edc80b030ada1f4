"""A residual U-Net pretrained as a masked autoencoder segments better from few masks than one trained from scratch.

Arms: S3D; the same with dense convolutions over volumes whose hidden cubes are 0, and no tokens; the same network
untrained, which is training from scratch. Measured: the Dice overlap on test volumes of the hippocampus after
fine-tuning on a few of them, with the sawtooth schedule, and for S3D also without any warm-up.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from unmask.app.measure import Asked
from unmask.app.measures.dice import measure
from unmask.app.runs import load
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.presets import Preset
from unmask.train.engine import choose_device

NOTE = (
    "Pretraining on 79 volumes of one organ for 395 steps does not help; nor did, with seed 0, 592 steps or another"
    " rate. The paper pretrains on 39,000 volumes for 250,000 steps, and gains two points."
)
DATA = ("hippocampus_mri.tar",)
SMALL = 20_000  # training samples up to which a preset counts as small
SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"model": "4-8-16/1-1-1", "volume_size": (32, 48, 32), "cell_size": 8},
    False: {"model": "32-64-128/1-3-4", "volume_size": (48, 64, 48), "cell_size": 8},
}
EPOCHS = {True: 20, False: 300}
TUNING = {True: (300, 2e-2), False: (1000, 1e-2)}  # steps, rate: 150 leave some arms with one class of two
LABELS = 8  # training volumes whose masks are used
RATE, BATCH = {True: 2.0, False: 0.5}, 4  # the first per 256 samples
DENSE = {"sparse": False, "decoder_fill": "none"}


def arms_of(preset: Preset) -> list[Arm]:
    """S3D, the dense masked autoencoder, from scratch, in this order."""
    small = preset.limit <= SMALL
    sparse = Arm("s3d", "s3d_mae_medical", SETTINGS[small], EPOCHS[small], RATE[small], BATCH, EPOCHS[small] / 20)
    dense = replace(sparse, name="dense", settings={**SETTINGS[small], **DENSE})
    return [sparse, dense, replace(sparse, name="from scratch", epochs=0)]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms, tuning = arms_of(preset), TUNING[preset.limit <= SMALL]
    numbers: dict[str, list[dict[str, float]]] = {}
    for arm in arms:
        numbers[arm.name] = [{"dice": _dice(laboratory, arm, seed, tuning, "sawtooth")} for seed in seeds]
    for seed, row in zip(seeds, numbers["s3d"], strict=True):
        row["dice without warm-up"] = _dice(laboratory, arms[0], seed, tuning, "none")
    claims = []
    for other, words in (("from scratch", "training from scratch"), ("dense", "a dense masked autoencoder")):
        gain = difference(numbers, "s3d", other, "dice")
        claims.append(Claim(f"Dice: S3D above {words}", clear(gain), gain))
    gain = summary([row["dice"] - row["dice without warm-up"] for row in numbers["s3d"]])
    claims.append(Claim("Dice: the sawtooth above no warm-up", clear(gain), gain))
    return Findings(arms, seeds, numbers, claims, [NOTE])


def _dice(laboratory: Laboratory, arm: Arm, seed: int, tuning: tuple[int, float], schedule: str) -> float:
    what = f"dice of {LABELS} labels, {tuning}, {schedule}"
    return laboratory.noted(arm, seed, what, partial(segmented, laboratory, arm, seed, tuning, schedule))


def segmented(laboratory: Laboratory, arm: Arm, seed: int, tuning: tuple[int, float], schedule: str) -> float:
    """The mean Dice overlap on the test volumes after fine-tuning."""
    laboratory.say(f"{arm.name}, seed {seed}, {schedule}")
    loaded, (steps, lr) = load(laboratory.trained(arm, seed)), tuning
    asked = Asked(laboratory.data, None, seed, choose_device(laboratory.device))
    found = measure(loaded, asked, steps=steps, labels=LABELS, schedule=schedule, lr=lr).numbers
    laboratory.say(f"{arm.name}, seed {seed}, {schedule}: Dice {found['mean']:.3f}")
    return found["mean"]
