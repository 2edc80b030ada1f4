"""Hiding what is hard teaches more than hiding at random, and a network can tell what is hard for it.

Arms: MAE on the same unnormalised pixels, at equal steps and at equal compute; random masks with the loss predicted
besides; HPM; the control that hides the easiest patches. Measured: kNN and linear accuracy as in MAE's proof, and on
held-out pictures the rank correlation between the losses that the slow copy predicts and those that come true.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.app.looking import batches_of, unseen
from unmask.app.runs import load
from unmask.app.watching import spread
from unmask.evaluate.features import frozen
from unmask.parts.masks.hard import own_errors
from unmask.parts.nets.lag import lagging
from unmask.proofs.cost import in_quarters, side_by_side
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.presets import Preset

FAMILY = True
PROBES = ("knn", "linear")
AGREED = 0.5  # rank correlation of predicted and true losses
LOOKED_AT = 64  # held-out pictures
PLAIN: dict[str, Any] = {"normalise": False}
NOTE = (
    "Small preset: after 938 steps what helps is the second task, to predict losses; whether hard, easy or random"
    " places are hidden makes no difference that three seeds can tell. The copy's predictions rank held-out losses"
    " loosely at best. Its decays are those of the paper at the same share of the training, not the same numbers."
)


def arms_of(preset: Preset) -> list[Arm]:
    """MAE, predicting the loss alone, HPM, and the easiest patches hidden. The second asks its copy nothing."""
    decay = lagging(preset.epochs * preset.limit / preset.batch)
    return [
        preset.arm("mae", "mae", **PLAIN),
        preset.arm("loss predicted", "hpm", end=0.0),
        preset.arm("hard", "hpm", decay=decay),
        preset.arm("easy", "hpm", decay=decay, hide="easy"),
    ]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    hard = arms[2]
    ratio = side_by_side(laboratory, hard, arms[0])
    arms.append(preset.arm("mae, equal compute", "mae", longer=in_quarters(ratio), **PLAIN))
    laboratory = replace(laboratory, pixels=False)
    numbers = laboratory.run(arms, seeds)
    claims = []
    for probe in PROBES:
        for first, second in (
            ("hard", "mae"),
            ("hard", "mae, equal compute"),
            ("hard", "loss predicted"),
            ("loss predicted", "mae"),
            ("mae", "easy"),
        ):
            gain = difference(numbers, first, second, probe)
            claims.append(Claim(f"{probe}: {first} above {second}", clear(gain), gain))
    found = [laboratory.noted(hard, s, "agreement", partial(agreement, laboratory, hard, s)) for s in seeds]
    words = f"predicted and true losses of held-out patches: rank correlation above {AGREED}"
    claims.append(Claim(words, clear(summary(found), AGREED), summary(found)))
    return Findings(arms, seeds, numbers, claims, [NOTE], {"step cost, HPM to MAE": ratio})


@torch.no_grad()
def agreement(laboratory: Laboratory, arm: Arm, seed: int) -> float:
    """Rank correlation of predicted and true losses, averaged over held-out pictures."""
    loaded = load(laboratory.trained(arm, seed))
    method: Any = loaded.method
    held = spread(unseen(loaded, laboratory.data), LOOKED_AT)
    batch = next(iter(batches_of(loaded, held, LOOKED_AT)))
    noise = torch.rand(
        len(batch["image"]), method.encoder.grid[0] * method.encoder.grid[1], generator=torch.Generator().manual_seed(0)
    )
    with frozen(method):
        return float(rank_correlation(method.predicted_losses(batch), own_errors(method, batch, noise)).mean())


def rank_correlation(first: Float[Tensor, "b n"], second: Float[Tensor, "b n"]) -> Float[Tensor, "b"]:
    """Spearman's, row by row; ties are ranked by their place."""
    ranks = [x.argsort(-1).argsort(-1).double() for x in (first, second)]
    first, second = (x - x.mean(-1, keepdim=True) for x in ranks)
    return (first * second).sum(-1) / (first.square().sum(-1) * second.square().sum(-1)).sqrt()
