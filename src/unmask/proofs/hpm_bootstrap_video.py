"""Hard tubes find what moves, and teach more than random ones.

Clips are windows that move over photographs; the label is the direction. Arms: HPM v2 on clips; the same with random
tubes, which predicts losses but hides nothing by them; VideoMAE, with as many steps and for as long. Measured: kNN and
linear accuracy of the direction on the test part; and of the finished hard arm, how much more the frames differ, on
average over time, at the tenth of the places that its slow copy expects to be hardest than at all places.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.app.looking import batches_to_measure
from unmask.app.runs import load
from unmask.evaluate.features import frozen
from unmask.parts.nets.lag import lagging
from unmask.parts.ops.cubes import cubify
from unmask.proofs import videomae
from unmask.proofs.cost import by_the_clock, equal_compute
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, comparisons, summary
from unmask.proofs.presets import Preset

DATA = videomae.DATA
CLIPS = 200  # of the test part, at which motion is looked at
HARDEST = 0.1  # share of the places
NOTE = (
    "Small preset: all arms are near the plateau of their start, where hardly any of what is hidden is explained, and"
    " nothing says yet where losses will be large."
)


def arms_of(preset: Preset, clips: int) -> list[Arm]:
    """Hard tubes, random tubes, VideoMAE, in this order. clips: that are trained on."""
    plain = replace(videomae.arms_of(preset)[0], name="videomae")
    settings = {**plain.settings, "decay": lagging(plain.epochs * clips / plain.batch)}
    hard = replace(plain, name="hard tubes", method="hpm_bootstrap_video", settings=settings)
    return [hard, replace(hard, name="random tubes", settings={**hard.settings, "end": 0.0}), plain]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset, laboratory.count)
    quick = replace(laboratory, pixels=False)
    numbers = quick.run(arms, seeds)
    longer = by_the_clock(quick, arms[0], numbers[arms[0].name], numbers["videomae"])
    arms.append(equal_compute(arms[2], longer))
    numbers |= quick.run(arms[-1:], seeds)
    pairs = [("hard tubes", arm.name, f"hard tubes above {arm.name}") for arm in arms[1:]]
    claims = comparisons(numbers, videomae.PROBES, pairs)
    quick.add(numbers, arms[:1], seeds, "motion", motion_where_hard, "motion where hard")
    found = summary([row["motion where hard"] for row in numbers[arms[0].name]])
    claims.append(
        Claim("frames differ more at the hardest places than at all: ratio above 1", clear(found, 1.0), found)
    )
    return Findings(arms, seeds, numbers, claims, [NOTE], {"training time, hard tubes to videomae": longer})


@torch.no_grad()
def motion_where_hard(laboratory: Laboratory, arm: Arm, seed: int) -> float:
    """The mean difference between frames at the hardest places over that at all places, of test clips."""
    loaded = load(laboratory.trained(arm, seed))
    method: Any = loaded.method
    test = batches_to_measure(loaded, laboratory.data, CLIPS)
    with frozen(method):
        pairs = [(motion(batch["video"], method.encoder), over_time(batch, method)) for batch in test]
    moved, hardness = (torch.cat(part) for part in zip(*pairs, strict=True))
    hardest = hardness.topk(max(1, round(HARDEST * hardness.shape[1])), dim=1).indices
    return float(moved.gather(1, hardest).mean() / moved.mean())


def motion(video: Float[Tensor, "b c t h w"], encoder: Any) -> Float[Tensor, "b m"]:
    """How much every place of a frame changes from frame to frame, on average."""
    change = (video.diff(dim=2)).abs().mean((1, 2), keepdim=True)
    return cubify(change, (1, *encoder.cube[1:])).mean(-1)


def over_time(batch: Any, method: Any) -> Float[Tensor, "b m"]:
    """How hard every place of a frame is expected to be, on average over time."""
    return method.predicted_losses(batch).unflatten(1, (method.encoder.grid[0], -1)).mean(1)
