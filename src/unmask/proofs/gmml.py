"""Restoring corrupted groups is a good start where there are few pictures, and better than restoring single patches.

Arms: groups of pixels; single patches drawn independently, with the same shares; untrained, which when fine-tuned is
training from scratch; MAE with equal steps and with the steps that GMML's time allows; in full also groups aligned to
patches, and groups of pixels filled with noise alone. All are pretrained on few pictures. Measured: accuracy after
fine-tuning on a few labels of every class, and kNN and linear accuracy as in MAE's proof.
"""

from collections.abc import Sequence
from dataclasses import replace

from unmask.proofs.cost import in_quarters, side_by_side
from unmask.proofs.experiment import Arm, Findings, Laboratory
from unmask.proofs.few_labels import compared_with_few_labels
from unmask.proofs.presets import Preset

FAMILY = True
PICTURES = 5000  # that are pretrained on at most
PROBES = ("knn", "linear")
NOTE = (
    "Small preset: fine-tuned on few labels GMML's encoders, of groups and of single patches, end below training from"
    " scratch, and MAE above all. What restoring groups leaves in the last block lies in fewer directions than in an"
    " untrained network. The reference trains for 800 epochs, at an eighth of the rate that all arms have here."
)


def arms_of(preset: Preset, longer: float) -> list[Arm]:
    """longer: how many of its steps MAE takes in the time of GMML's."""
    sizes = {name: value for name, value in preset.settings.items() if not name.startswith("decoder")}
    bare = replace(preset, settings=sizes)
    patch, side = sizes["patch_size"], sizes["image_size"]
    groups = bare.arm("groups", "gmml")
    arms = [
        groups,
        bare.arm("single patches", "gmml", groups_align=patch, groups_largest=patch / side),
        replace(groups, name="untrained", epochs=0),
        preset.arm("mae", "mae"),
        preset.arm("mae, equal compute", "mae", longer=in_quarters(longer)),
    ]
    if preset.thorough:
        arms.append(bare.arm("groups of patches", "gmml", groups_align=patch))
        arms.append(bare.arm("groups, no aliens", "gmml", alien_rate=0.0))
    return arms


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    few = min(PICTURES, laboratory.limit)
    more = laboratory.limit / few  # epochs, so that there are as many steps as with all pictures
    laboratory = replace(laboratory, limit=few)
    preset = replace(preset, epochs=preset.epochs * more, warmup=preset.warmup * more)
    first, _, _, plain, *_ = arms_of(preset, 1.0)
    ratio = side_by_side(laboratory, first, plain)
    arms = arms_of(preset, round(ratio, 2))
    numbers = laboratory.run(arms, seeds)
    pairs = [
        ("groups", "untrained", "groups above the untrained encoder"),
        ("groups", "single patches", "groups above single patches"),
        ("groups", "mae", "groups above MAE at equal steps"),
        ("groups", "mae, equal compute", "groups above MAE at equal compute"),
        ("groups of patches", "single patches", "groups of patches above single patches"),
        ("groups", "groups, no aliens", "with other pictures above noise alone"),
    ]
    pairs = [pair for pair in pairs if set(pair[:2]) <= set(numbers)]
    claims = compared_with_few_labels(laboratory, arms, seeds, numbers, PROBES, pairs)
    return Findings(arms, seeds, numbers, claims, [NOTE], {"step cost, GMML to MAE": ratio, "pictures": few})
