"""Predicting missing frequencies is a better start than none, for a transformer and for a convolutional network.

Arms, of both kinds of network: frequencies taken away; untrained, which when fine-tuned is training from scratch. Of
the transformer also: low ones alone and high ones alone taken away, resolution and noise instead, and MAE with equal
steps and with the steps that MFM's time allows. Measured: accuracy after fine-tuning on a few labels of every class,
and kNN and linear accuracy as in MAE's proof. What else is taken away is fine-tuned in full alone.
"""

from collections.abc import Sequence
from dataclasses import replace

from unmask.proofs.cost import in_quarters, side_by_side
from unmask.proofs.experiment import Arm, Findings, Laboratory
from unmask.proofs.few_labels import compared_with_few_labels
from unmask.proofs.presets import Preset

FAMILY = True
NETWORK = {"model": "resnet:32-64-128/1-1-1"}
PROBES = ("knn", "linear")
NOTE = (
    "Small preset: predicted frequencies help nearest neighbours and nothing else: fine-tuned on few labels both"
    " networks end below training from scratch, and MAE is above by every probe. What the last layer holds is of low"
    " rank after three epochs: of pictures of 32x32 pixels a share of high frequencies is nearly noise, and low ones,"
    " a dozen of a thousand coefficients, weigh little in the mean over both."
)
OTHERS = ("high ones taken away", "low ones taken away", "resolution", "noise")


def arms_of(preset: Preset, longer: float) -> list[Arm]:
    """longer: how many of its steps MAE takes in the time of MFM's."""
    kept = {name: value for name, value in preset.settings.items() if not name.startswith("decoder")}
    bare = replace(preset, settings=kept)
    conv = replace(preset, settings={**NETWORK, "image_size": kept["image_size"]})
    arms = [
        bare.arm("mfm", "mfm"),
        bare.arm("high ones taken away", "mfm", corruption_low=1.0),
        bare.arm("low ones taken away", "mfm", corruption_low=0.0),
        bare.arm("resolution", "mfm", corruption_kind="resolution"),
        bare.arm("noise", "mfm", corruption_kind="noise"),
        conv.arm("mfm, convolutional", "mfm"),
        preset.arm("mae", "mae"),
        preset.arm("mae, equal compute", "mae", longer=in_quarters(longer)),
    ]
    return [*arms, *(replace(arm, name=f"untrained {arm.name}", epochs=0) for arm in (arms[0], arms[5]))]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    first, *_ = arms = arms_of(preset, 1.0)
    ratio = side_by_side(laboratory, first, arms[6])
    arms = arms_of(preset, round(ratio, 2))
    numbers = laboratory.run(arms, seeds)
    pairs = (
        ("mfm", "untrained mfm", "a transformer above the untrained one"),
        ("mfm, convolutional", "untrained mfm, convolutional", "a convolutional network above the untrained one"),
        ("mfm", "high ones taken away", "both above taking high frequencies alone"),
        ("mfm", "low ones taken away", "both above taking low frequencies alone"),
        ("mfm", "resolution", "frequencies above resolution"),
        ("mfm", "noise", "frequencies above noise"),
        ("mfm", "mae", "above MAE at equal steps"),
        ("mfm", "mae, equal compute", "above MAE at equal compute"),
    )
    others = () if preset.thorough else OTHERS
    claims = compared_with_few_labels(laboratory, arms, seeds, numbers, PROBES, pairs, others)
    return Findings(arms, seeds, numbers, claims, [NOTE], {"step cost, MFM to MAE": ratio})
