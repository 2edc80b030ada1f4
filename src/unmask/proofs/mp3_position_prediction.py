"""Patches tell their place far better than by chance, and having learned that helps where labels are few.

Arms: position prediction with most patches outside the context, the same without that (a jigsaw) and with other
shares, the same network untrained, MAE. Measured: how many held-out patches tell their place; accuracy after
fine-tuning on a few labels of every class, for the untrained network training from scratch; kNN and linear accuracy as
in MAE's proof. MAE is shown for comparison, at equal steps and for as long as a position training takes.
"""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from unmask.core import Context
from unmask.proofs.cost import equal_compute, side_by_side
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.few_labels import add_few_labels
from unmask.proofs.held_out import trained_and_tested
from unmask.proofs.presets import Preset

FAMILY = True
SLUG = "mp3_position_prediction"
PROBES = ("few labels", "knn", "linear")
SHARES = (0.0, 0.5, 0.9)  # of the patches outside the context, besides the default
TIMES = 5  # as many times better than chance counts as far better
NOTE = (
    "Small preset: after three epochs patches tell their place about three times as often as by chance, and with a"
    " full context, the jigsaw, more often than that, yet it starts fine-tuning no better. Position prediction is a"
    " better start than none by every probe; MAE is as good or better at equal steps."
)


def arms_of(preset: Preset) -> list[Arm]:
    """Position prediction, untrained, MAE, then position prediction with other shares: none, and in full every one."""
    plain = {name: value for name, value in preset.settings.items() if not name.startswith("decoder_")}
    placing = replace(preset, settings=plain)
    mp3 = placing.arm("positions", SLUG)
    shares = SHARES if preset.thorough else SHARES[:1]
    sweep = [placing.arm(f"positions, {share:.0%} outside", SLUG, ratio=share) for share in shares]
    return [mp3, replace(mp3, name="untrained", epochs=0), preset.arm("mae", "mae"), *sweep]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    longer = side_by_side(laboratory, arms[0], arms[2])
    arms.append(equal_compute(arms[2], longer))
    numbers = laboratory.run(arms, seeds)
    add_few_labels(laboratory, arms, seeds, numbers)
    laboratory.add(numbers, [arm for arm in arms if arm.method == SLUG], seeds, "places", places_told)
    settings = arms[0].settings
    chance = (settings["patch_size"] / settings["image_size"]) ** 2
    told = summary([row["places"] for row in numbers["positions"]])
    claims = [Claim(f"places told {TIMES} times better than by chance", clear(told, TIMES * chance), told)]
    for probe in PROBES:
        gain = difference(numbers, "positions", "untrained", probe)
        words = "training from scratch" if probe == "few labels" else "the untrained encoder"
        claims.append(Claim(f"{probe}: positions above {words}", clear(gain), gain))
    context = difference(numbers, "positions", "positions, 0% outside", "few labels")
    claims.append(Claim("few labels: a partial context above the jigsaw", clear(context), context))
    extra: dict[str, Any] = {"training time, positions to mae": longer}
    for probe in PROBES:
        for other in ("mae", "mae, equal compute"):
            extra[f"{probe}: positions minus {other}"] = difference(numbers, "positions", other, probe)
    return Findings(arms, seeds, numbers, claims, [NOTE], extra)


@torch.no_grad()
def places_told(laboratory: Laboratory, arm: Arm, seed: int) -> float:
    """Share of the patches of held-out pictures that tell their place, under masks as in training."""
    method, batches = trained_and_tested(laboratory, arm, seed)
    context = Context(generator=torch.Generator().manual_seed(seed))
    shares = [float(method.accuracy(batch, method.sampler(method, batch, context))) for batch in batches]
    return statistics.fmean(shares)
