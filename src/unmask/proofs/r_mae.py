"""Hidden parts of regions can be completed, and learning that does the features no harm.

Arms: R-MAE; the control whose regions are those of other pictures; MAE, also for as long as a training of R-MAE takes;
the network untrained. Measured: how well hidden parts of regions are completed (intersection over union), against the
region at the nearest visible patch; kNN and linear accuracy as in MAE's proof, and a probe of segmentation on street
scenes. The paper's gains are in detection and segmentation: that features classify better is not claimed.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Context, Mask
from unmask.evaluate.trivial import trivial_pictures
from unmask.parts.ops.patches import patchify, unpatchify
from unmask.proofs.cost import by_the_clock, equal_compute
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.held_out import trained_and_tested
from unmask.proofs.presets import Preset
from unmask.proofs.scenes import NAME, add_segmentation

FAMILY = True
PROBES = ("knn", "linear")
LIGHT = {"region_decoder_width": 32, "region_decoder_depth": 2, "region_decoder_heads": 4, "regions_count": 4}
NOTE = (
    "Small preset: after three epochs regions are hardly completed, and the region at the nearest visible patch is a"
    " far better guess; what is completed is completed better from a picture's own regions, by little. The features"
    " are neither better nor clearly worse than MAE's at equal steps, also for segmentation, while a training takes"
    " about three times as long."
)
SLACK = -0.01  # accuracy that may be lost for the features to count as unharmed


def arms_of(preset: Preset) -> list[Arm]:
    """R-MAE, the regions of other pictures, MAE, untrained, in this order."""
    own = preset.arm("regions", "r_mae", **LIGHT)
    other = preset.arm("regions of others", "r_mae", **LIGHT, regions_of="other")
    return [own, other, preset.arm("mae", "mae"), preset.untrained()]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    numbers = laboratory.run(arms, seeds)
    longer = by_the_clock(laboratory, arms[0], numbers["regions"], numbers["mae"])
    arms.append(equal_compute(arms[2], longer))
    numbers |= laboratory.run(arms[-1:], seeds)
    laboratory.add(numbers, arms[:2], seeds, "completion", completion)
    better = summary([row["completed"] - row["nearest"] for row in numbers["regions"]])
    claims = [Claim("hidden parts of regions: completed better than by the nearest patch", clear(better), better)]
    own = difference(numbers, "regions", "regions of others", "completed")
    claims.append(Claim("completed better by who learned it on a picture's own regions", clear(own), own))
    extra: dict[str, Any] = {"training time, regions to mae": longer}
    for probe in PROBES:
        gain = difference(numbers, "regions", "untrained", probe)
        claims.append(Claim(f"{probe}: regions above the untrained encoder", clear(gain), gain))
        kept = difference(numbers, "regions", "mae", probe)
        claims.append(Claim(f"{probe}: regions no worse than MAE at equal steps", clear(kept, SLACK), kept))
        for other in ("mae, equal compute", "regions of others"):
            extra[f"{probe}: regions minus {other}"] = difference(numbers, "regions", other, probe)
    notes = add_segmentation(laboratory, arms, seeds, numbers)
    if not notes:
        for other, words in (("mae", "MAE at equal steps"), ("mae, equal compute", "MAE at equal compute")):
            gain = difference(numbers, "regions", other, NAME)
            claims.append(Claim(f"{NAME}: regions above {words}", clear(gain), gain))
    return Findings(arms, seeds, numbers, claims, [*notes, NOTE], extra)


@torch.no_grad()
def completion(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    """Intersection over union of own regions in hidden patches: as completed, and as at the nearest visible patch."""
    method, batches = trained_and_tested(laboratory, arm, seed)
    method.regions.of = "own"
    context = Context(generator=torch.Generator().manual_seed(seed))
    found: dict[str, list[Tensor]] = {"completed": [], "nearest": []}
    for batch in batches:
        image, patch = batch["image"], method.encoder.patch_size
        mask, grid = method.sampler(method, batch, context), method.encoder.grid_of(image)
        regions = method.regions(batch, ~mask.hidden, patch, context)
        logits = method.region_decoder(regions, method.encoder(image, mask), mask, grid)
        found["completed"].append(overlap(logits > 0, regions > 0, mask.hidden))
        found["nearest"].append(overlap(nearest(regions, mask, grid, patch) > 0.5, regions > 0, mask.hidden))
    return {name: float(torch.cat(values).nanmean()) for name, values in found.items()}


def nearest(
    regions: Float[Tensor, "b r n p"], mask: Mask, grid: tuple[int, int], patch: int
) -> Float[Tensor, "b r n p"]:
    """Every hidden patch as the nearest visible one, region by region."""
    b, r = regions.shape[:2]
    batch: Batch = {"image": unpatchify(regions.flatten(0, 1), grid, patch)}
    copied = trivial_pictures(batch, Mask.of(mask.hidden.repeat_interleave(r, 0)), grid, patch)["nearest"]
    return patchify(copied, patch).unflatten(0, (b, r))


def overlap(
    one: Bool[Tensor, "b r n p"], other: Bool[Tensor, "b r n p"], hidden: Bool[Tensor, "b n"]
) -> Float[Tensor, "b r"]:
    """Intersection over union at hidden places; not a number where neither has any."""
    where = hidden[:, None, :, None]
    both, any_ = (one & other & where).sum((-2, -1)), ((one | other) & where).sum((-2, -1))
    return both / any_
