"""Point-MAE learns shapes without labels, and better with mask tokens in the decoder alone.

Arms: Point-MAE; the same with mask tokens, which tell where hidden patches are, in the encoder; the same network
untrained. Measured: kNN and linear accuracy on objects of an aerial laser scan, of unit size and with equally many
points, since size and number of points would tell the classes apart, at the block that is best on validation.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from unmask.proofs.experiment import Arm, Findings, Laboratory, comparisons
from unmask.proofs.presets import Preset

DATA = ("objects3d_dales.npz",)
SMALL = 20_000  # training samples up to which a preset counts as small
SETTINGS: dict[bool, dict[str, Any]] = {
    True: {"model": "96x4x4", "points": 256, "embed_width": 32, "decoder_depth": 2},
    False: {"model": "vit_small", "points": 1024},
}
EPOCHS = {True: 30, False: 300}
NOTE = "100 objects are asked about: one is a point. After 30 epochs it does not matter where the mask tokens stand."
RATE, BATCH = 8e-3, 32  # the rate per 256 samples
PROBES = ("knn", "linear")


def arms_of(preset: Preset) -> list[Arm]:
    """Point-MAE, mask tokens in the encoder, untrained, in this order."""
    small = preset.limit <= SMALL
    shifted = Arm("point_mae", "point_mae", SETTINGS[small], EPOCHS[small], RATE, BATCH, EPOCHS[small] / 10)
    leaking = replace(shifted, name="tokens in the encoder", settings={**SETTINGS[small], "shifted": False})
    return [shifted, leaking, replace(shifted, name="untrained", epochs=0)]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    numbers = laboratory.run(arms, seeds)
    pairs = (
        ("point_mae", "untrained", "Point-MAE above the same network untrained"),
        ("point_mae", "tokens in the encoder", "Point-MAE above mask tokens in the encoder"),
    )
    return Findings(arms, seeds, numbers, comparisons(numbers, PROBES, pairs), [NOTE])
