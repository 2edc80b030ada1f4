"""What an arm's tokens say of places: a linear probe of segmentation on street scenes that lie beside the data."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from unmask.app.measuring import evaluate
from unmask.proofs.experiment import Arm, Laboratory

SCENES = "camvid.tar"
NAME = "segmentation"


def add_segmentation(
    laboratory: Laboratory, arms: Sequence[Arm], seeds: Sequence[int], numbers: dict[str, list[dict[str, float]]]
) -> list[str]:
    """Adds the score to the row of every arm and seed, measured once; without scenes, a remark instead."""
    scenes = laboratory.data.with_name(SCENES)
    if not scenes.exists():
        return [f"{NAME} was not measured: there is no {SCENES} beside the data"]
    laboratory.add(numbers, arms, seeds, NAME, partial(segmentation, scenes=scenes))
    return []


def segmentation(laboratory: Laboratory, arm: Arm, seed: int, scenes: Path) -> float:
    """Mean intersection over union on the test part of the scenes."""
    folder = laboratory.trained(arm, seed)
    report = evaluate(folder, scenes, probes=(NAME,), device=laboratory.device, pixels=False)
    found = report.outcomes[0].test
    if found is None:
        raise ValueError(f"{scenes} has no test part; give data with one")
    return found
