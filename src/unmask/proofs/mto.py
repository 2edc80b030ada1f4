"""Mask tokens unlike data make MAE converge sooner. Exploratory: the terms are a reading of the abstract alone.

Arms: MAE and MTO after a quarter, half and all of the epochs, each a training of its own; MAE untrained, and with the
steps that MTO's time allows; in full also MTO without each of its terms. Measured: kNN and linear accuracy as in MAE's
proof, and the relative area under the curve: accuracy over the epochs above the untrained encoder's, MTO's area over
MAE's.
"""

from collections.abc import Sequence

from unmask.proofs.cost import in_quarters, side_by_side
from unmask.proofs.experiment import Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.presets import Preset

FAMILY = True
PROBES = ("knn", "linear")
SHARES = (0.25, 0.5, 1.0)
TERMS = ("sparsity", "singularity", "smoothness")


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    full = {slug: preset.arm(f"{slug}, 100%", slug) for slug in ("mae", "mto")}
    ratio = side_by_side(laboratory, full["mto"], full["mae"])
    arms = [preset.untrained(), preset.arm("mae, equal compute", "mae", longer=in_quarters(ratio))]
    arms += [preset.arm(f"{slug}, {share:.0%}", slug, longer=share) for slug in full for share in SHARES]
    if preset.thorough:
        arms += [preset.arm(f"mto without {term}", "mto", **{term: 0.0}) for term in TERMS]
    numbers = laboratory.run(arms, seeds)
    claims = []
    for probe in PROBES:
        for one, other, words in (
            ("mto, 50%", "mae, 100%", "MTO at half of the epochs above MAE at all"),
            ("mto, 100%", "mae, 100%", "MTO above MAE at equal steps"),
            ("mto, 100%", "mae, equal compute", "MTO above MAE at equal compute"),
        ):
            gain = difference(numbers, one, other, probe)
            claims.append(Claim(f"{probe}: {words}", clear(gain), gain))
        curves = [
            {
                slug: [numbers["untrained"][i][probe], *(numbers[f"{slug}, {s:.0%}"][i][probe] for s in SHARES)]
                for slug in full
            }
            for i in range(len(seeds))
        ]
        areas = summary([area(curve["mto"]) / max(area(curve["mae"]), 1e-6) for curve in curves])
        claims.append(Claim(f"{probe}: relative area under the curve above 1", clear(areas, 1.0), areas))
    notes = ["The paper's formulas could not be had: what is measured is a reading of its abstract."]
    if preset.settings["decoder_depth"] == 1:
        notes.append("The decoder has one block, and so no course that could be smooth: `smoothness` changes nothing.")
    return Findings(arms, seeds, numbers, claims, notes, extra={"step cost, MTO to MAE": ratio})


def area(accuracies: Sequence[float]) -> float:
    """Under the straight lines through the accuracies at 0 and SHARES of the epochs, above the first."""
    places, gains = (0.0, *SHARES), [value - accuracies[0] for value in accuracies]
    pairs = zip(places, places[1:], gains, gains[1:], strict=False)
    return sum((end - start) * (one + other) / 2 for start, end, one, other in pairs)
