"""An adversary makes inpainting sharper at little cost in error; inpainting teaches more than copying does.

Arms, of one network: the centre filled in with and without an adversary, the same squared error; blobs filled in by
squared error alone, as the paper trains its features, an autoencoder of whole pictures, and the untrained network.
Measured on the test part: decibels of what was filled in (PSNR), the energy of its gradients over that of the truth
(sharpness), and the probes.
"""

from collections.abc import Sequence
from dataclasses import replace

from unmask.app.measure import Asked
from unmask.app.measures.inpainting import measure
from unmask.app.runs import load
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, comparisons, difference
from unmask.proofs.presets import Preset
from unmask.train.engine import choose_device

RATE, BATCH = 8e-3, 64  # the recipe's
SHORTER = 1 / 24  # of the preset's epochs
NETWORK = {"width": 32, "latent": 256, "decoder_width": 32, "adversary_width": 32}
TASKS = {
    "adversary": {"region_kind": "centre", "square": 0.999},
    "squared error": {"region_kind": "centre", "square": 1.0},
    "blobs": {"region_kind": "random", "square": 1.0},
    "autoencoder": {"region_kind": "none", "square": 1.0},
}
PROBED = 5000  # pictures of each part, at most
NOTE = (
    "On photographs of 32 pixels an autoencoder's code is as good: it keeps colours and layout, by which neighbours of"
    " one class are found. After 2 epochs filling in is no better to the linear probe either. The paper's features are"
    " of ImageNet's photographs at 227 pixels."
)
LOSS = 2.0  # decibels that sharpness may cost


def arms_of(preset: Preset) -> list[Arm]:
    arms = [
        Arm(name, "context_encoder", {**NETWORK, **task}, preset.epochs * SHORTER, RATE, BATCH, 0)
        for name, task in TASKS.items()
    ]
    return [*arms, replace(arms[2], name="untrained", epochs=0)]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    laboratory = replace(laboratory, pixels=False, test=min(laboratory.test, PROBED))
    numbers = laboratory.run(arms, seeds)
    for arm in arms[:2]:
        for row, seed in zip(numbers[arm.name], seeds, strict=True):
            row |= filled_in(laboratory, arm, seed)
    sharper = difference(numbers, "adversary", "squared error", "sharpness")
    cost = difference(numbers, "squared error", "adversary", "psnr")
    pairs = [
        ("blobs", "autoencoder", "features of filling in blobs above those of an autoencoder"),
        ("blobs", "untrained", "features of filling in blobs above the untrained network's"),
    ]
    claims = [
        Claim("what is filled in is sharper with an adversary", clear(sharper), sharper),
        Claim(f"the adversary costs at most {LOSS:.0f} decibels", cost["mean"] <= LOSS, cost),
        *comparisons(numbers, ("knn", "linear"), pairs),
    ]
    return Findings(arms, seeds, numbers, claims, [NOTE])


def filled_in(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    """How well the finished arm fills in the centre of test pictures."""
    return laboratory.noted(arm, seed, "inpainting", lambda: _measure(laboratory, arm, seed))


def _measure(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    loaded = load(laboratory.trained(arm, seed))
    return measure(loaded, Asked(laboratory.data, laboratory.test, seed, choose_device(laboratory.device))).numbers
