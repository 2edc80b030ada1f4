"""Guided masks learn faster than random ones, at equal steps and at equal compute.

Arms: MAE, MAE trained as long as a guided training takes, guided masks with decaying hints, without hints, the
control that hides the least relevant patches, and guided masks that take the side away from the border of the picture
for the object. (TokenCut's rule, the default, takes the side at the border in two of three of these pictures.)
Measured: kNN and linear accuracy as in MAE's proof, and on MAE's own snapshots how early patches cluster and when the
decoder exploits its mask tokens. Where the scale says so, the arms that are compared are shorter than the training that
is looked at.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from unmask.app.looking import analyse
from unmask.proofs.cost import side_by_side
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.presets import Preset

PROBES = ("knn", "linear")
START = 0.125  # share of random masking before guidance, T = E / 8
NOTES = (
    "TokenCut's rule for the object's side takes the side at the border in two of three of these pictures; the arm with"
    " the interior side is there for that reason.",
    "Pictures of 32x32 pixels are 64 patches, and the networks are small: a scale at which the paper measured nothing.",
)
EARLY, SETTLED = 0.15, 0.30  # the card's "early": share of the training; and KL left, of its first value


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    long, preset = preset.arm("mae, long", "mae"), preset.shorter()
    always, plain = preset.arm("guided", "self_guided_mae", start_fraction=0.0), preset.arm("mae", "mae")
    ratio = side_by_side(laboratory, always, plain)
    longer = round(START + (1 - START) * ratio, 2)
    arms = [
        plain,
        preset.arm("guided", "self_guided_mae", start_fraction=START),
        preset.arm("guided without hints", "self_guided_mae", start_fraction=START, hints_start=0.0),
        preset.arm("anti-guided", "self_guided_mae", start_fraction=START, hide="irrelevant"),
        preset.arm("mae, equal compute", "mae", longer=longer),
        preset.arm("guided, interior side", "self_guided_mae", start_fraction=START, cut_side="interior"),
    ]
    quick = replace(laboratory, test=laboratory.test // 2, pixels=False)
    numbers = quick.run(arms, seeds) | laboratory.run([long], seeds)
    claims = []
    for probe in PROBES:
        for other, words in (
            ("mae", "MAE at equal steps"),
            ("mae, equal compute", "MAE at equal compute"),
            ("guided without hints", "guided without hints"),
            ("anti-guided", "the anti-guided control"),
        ):
            gain = difference(numbers, "guided", other, probe)
            claims.append(Claim(f"{probe}: guided with hints above {words}", clear(gain), gain))
    harder = [quick.training_loss(arms[2], seed, START) - quick.training_loss(arms[1], seed, START) for seed in seeds]
    claims.append(Claim("loss on its own masks: higher without hints", clear(summary(harder)), summary(harder)))
    claims += early_clustering(laboratory, long, seeds)
    extra: dict = {"step cost, guided to MAE": ratio}
    for probe in PROBES:
        extra[f"{probe}: interior side minus TokenCut's"] = difference(
            numbers, "guided, interior side", "guided", probe
        )
    return Findings([*arms, long], seeds, numbers, claims, NOTES, extra)


def early_clustering(laboratory: Laboratory, arm: Arm, seeds: Sequence[int]) -> list[Claim]:
    """On MAE's snapshots: the gap between clusters, how soon relations settle, and what builds the output."""

    def look(seed: int) -> dict[str, float]:
        return course(analyse(laboratory.trained(arm, seed), laboratory.data, images=32))

    rows = [laboratory.noted(arm, seed, "course", partial(look, seed)) for seed in seeds]
    return [
        Claim(words, all(holds(row[name]) for row in rows), summary([row[name] for row in rows]))
        for name, words, holds in (
            (
                "gap",
                f"patches cluster by {EARLY:.0%} of the steps: attention within minus between clusters > 0",
                _positive,
            ),
            ("kl", f"relations settle: KL to the final ones by {EARLY:.0%} of the steps below {SETTLED:.0%}", _settled),
            (
                "exploitation",
                "at the end the decoder builds its output more from mask than from visible tokens",
                _positive,
            ),
        )
    ]


def course(findings: dict) -> dict[str, float]:
    """From an analysis over snapshots: gap and KL (of its first value) early on, last encoder layer; the decoder's
    share from mask tokens minus that from visible ones, at the end of the training."""
    training = findings["training"]
    early = [row for row in training if row["step"] <= EARLY * training[-1]["step"]][-1]["encoder"]
    first, decoder = training[0]["encoder"], training[-1]["decoder"]
    return {
        "gap": early["gap_attention"][-1],
        "kl": early["divergence_to_final"][-1] / first["divergence_to_final"][-1],
        "exploitation": decoder["from_hidden"][-1] - decoder["from_visible"][-1],
    }


def _settled(value: float) -> bool:
    return value < SETTLED


def _positive(value: float) -> bool:
    return value > 0
