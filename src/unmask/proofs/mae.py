"""MAE learns: its features classify far better than the untrained encoder's and than raw pixels.

Arms: MAE, the same network untrained. Measured: kNN and linear accuracy on the test part at the block that is best
on validation. The margin over the untrained encoder must be at least ten points in both.
"""

from collections.abc import Sequence

from unmask.proofs.experiment import Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.presets import Preset

MARGIN = 0.10
PROBES = ("knn", "linear")


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = [preset.untrained(), preset.arm("mae", "mae")]
    numbers = laboratory.run(arms, seeds)
    claims = []
    for probe in PROBES:
        gain = difference(numbers, "mae", "untrained", probe)
        claims.append(
            Claim(f"{probe}: at least {MARGIN:.0%} above the untrained encoder", gain["mean"] >= MARGIN, gain)
        )
        over = summary([row[probe] - row[f"pixels {probe}"] for row in numbers["mae"]])
        claims.append(Claim(f"{probe}: above raw pixels", clear(over), over))
    return Findings(arms, seeds, numbers, claims)
