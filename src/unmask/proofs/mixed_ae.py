"""Mixing pictures beats dropping patches only if every token has to find those of its own picture.

Arms: MixedAE; naive mixing, without selective attention, contrast and embedding of the pictures; MixedAE without that
embedding; MAE, also for as long as a training of MixedAE takes; the network untrained. Measured: kNN and linear
accuracy as in MAE's proof, and how much of the attention in the last block goes to tokens of the same picture.
"""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from unmask.core import Context
from unmask.parts.nets.transformer import Record
from unmask.proofs.cost import equal_compute, side_by_side
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.held_out import trained_and_tested
from unmask.proofs.presets import Preset

FAMILY = True
PROBES = ("knn", "linear")
NAIVE = {"strength": 0.0, "selective": False, "segments": False}
NOTE = (
    "Small preset: after 938 steps a third of the attention goes to the own picture's tokens, where chance gives a"
    " quarter: what the paper adds so that tokens find their own picture has hardly begun to work."
)
TIMES = 2  # as many times the attention that chance gives the own picture counts as finding it


def arms_of(preset: Preset) -> list[Arm]:
    """MixedAE, naive mixing, MAE, untrained, and in full MixedAE without embeddings of the pictures, in this order."""
    mixed = preset.arm("mixed", "mixed_ae")
    naive, unnamed = (
        replace(mixed, name=name, settings={**mixed.settings, **change})
        for name, change in (("naive mixing", NAIVE), ("mixed, no segments", {"segments": False}))
    )
    arms = [mixed, naive, preset.arm("mae", "mae"), replace(preset.untrained(), name="untrained")]
    return [*arms, unnamed] if preset.thorough else arms


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    longer = side_by_side(laboratory, arms[0], arms[2])
    arms.append(equal_compute(arms[2], longer))
    numbers = laboratory.run(arms, seeds)
    claims: list[Claim] = []
    extra: dict[str, Any] = {"training time, mixed to mae": longer}
    for probe in PROBES:
        for other in ("untrained", "naive mixing", "mae", "mae, equal compute"):
            gain = difference(numbers, "mixed", other, probe)
            claims.append(Claim(f"{probe}: mixed above {other}", clear(gain), gain))
        if preset.thorough:
            extra[f"{probe}: segments"] = difference(numbers, "mixed", "mixed, no segments", probe)
        extra[f"{probe}: mae minus naive mixing"] = difference(numbers, "mae", "naive mixing", probe)
    for seed, row in zip(seeds, numbers["mixed"], strict=True):
        row["own picture"] = laboratory.noted(
            arms[0], seed, "own picture", partial(own_share, laboratory, arms[0], seed)
        )
    found = summary([row["own picture"] for row in numbers["mixed"]])
    claims.append(Claim("tokens find their own picture's", clear(found, TIMES / 4), found))
    return Findings(arms, seeds, numbers, claims, [NOTE], extra)


@torch.no_grad()
def own_share(laboratory: Laboratory, arm: Arm, seed: int) -> float:
    """Share of the last block's attention between patches that stays within a picture of the mixture."""
    method, batches = trained_and_tested(laboratory, arm, seed)
    context, shares = Context(generator=torch.Generator().manual_seed(seed)), []
    for batch in batches:
        full = len(batch["image"]) // method.group * method.group
        if not full:
            continue
        batch, record = {key: value[:full] for key, value in batch.items()}, Record(attention=True)
        mask = method.sampler(method, batch, context)
        owner, _ = method.owners(batch, mask)
        method.encode(batch, mask, record)
        among = record.maps[-1][..., method.encoder.prefix :, method.encoder.prefix :].mean(1)
        alike = owner.unsqueeze(-1) == owner.unsqueeze(-2)
        shares.append(float((among * alike).sum() / among.sum()))
    return statistics.fmean(shares)
