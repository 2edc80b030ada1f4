"""Boosted tokens make pretraining on corrupted data more robust, on corrupted and on clean pictures.

Arms, all trained on corrupted pictures alone: MAE with Token Boosting Modules; the same whose features learn nothing
from being recovered; MAE; MAE with the same autoencoders on plain residual branches; MAE with the steps that the
modules' time allows. Measured: kNN and linear accuracy on clean pictures as in MAE's proof, and kNN accuracy on
pictures that are corrupted as in training; of the modules, on clean test pictures, their squared error over the
features' variance and their noise over the features' deviation.
"""

import statistics
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unmask.app.looking import batches_of, pictures_of
from unmask.app.measuring import labelled
from unmask.app.runs import load
from unmask.app.watching import spread
from unmask.core import Batch, Context, Features, Method
from unmask.evaluate.features import extract
from unmask.evaluate.knn import knn_accuracy
from unmask.parts.nets.booster import Booster
from unmask.proofs.cost import in_quarters, side_by_side
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference
from unmask.proofs.held_out import trained_and_tested
from unmask.proofs.presets import Preset
from unmask.train.engine import choose_device

FAMILY = True
KNOWN = 5000  # labelled training pictures among which neighbours are sought
PROBES = ("corrupted knn", "knn", "linear")
NOTE = (
    "Small preset: the modules recover little. Where features learn from being recovered, their squared error is above"
    " the features' variance and the noise about as large as the features. Where they do not (`boosters_detach`), the"
    " noise all but vanishes, yet the error differs widely between seeds; and since whatever goes from block to block"
    " goes through the modules, MAE's own task is learned worse still."
)


class Worn(Method):
    """A trained TBM that sees every picture corrupted, each time in the same way."""

    def __init__(self, method: Any, seed: int):
        super().__init__()
        self.method = method
        self.seed = seed

    def features(self, batch: Batch) -> Features:
        context = Context(generator=torch.Generator().manual_seed(self.seed))
        return self.method.features(batch | {"image": self.method.corrupted(batch, context)})


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    boosted, plain = preset.arm("boosted", "tbm"), preset.arm("mae", "tbm", boosters_count=0)
    ratio = side_by_side(laboratory, boosted, plain)
    detached = preset.arm("boosted, detached", "tbm", boosters_detach=True)
    arms = [
        boosted,
        detached,
        plain,
        preset.arm("residual modules", "tbm", boosters_kind="residual"),
        preset.arm("mae, equal compute", "tbm", longer=in_quarters(ratio), boosters_count=0),
    ]
    numbers = laboratory.run(arms, seeds)
    laboratory.add(numbers, arms, seeds, "corrupted knn", corrupted_knn)
    laboratory.add(numbers, [boosted, detached], seeds, "recovery", recovery)
    claims = []
    for probe in PROBES:
        for other, words in (
            ("mae", "MAE at equal steps"),
            ("mae, equal compute", "MAE at equal compute"),
            ("residual modules", "residual modules of the same size"),
        ):
            gain = difference(numbers, "boosted", other, probe)
            claims.append(Claim(f"{probe}: boosted tokens above {words}", clear(gain), gain))
        gain = difference(numbers, detached.name, plain.name, probe)
        claims.append(Claim(f"{probe}: boosted tokens, detached, above MAE at equal steps", clear(gain), gain))
    return Findings(arms, seeds, numbers, claims, [NOTE], {"step cost, boosted to plain": ratio})


def corrupted_knn(laboratory: Laboratory, arm: Arm, seed: int) -> float:
    """Test accuracy of nearest neighbours after the last block, known and asked pictures both corrupted."""
    loaded = load(laboratory.trained(arm, seed))
    parts = labelled(pictures_of(loaded, laboratory.data), loaded.config.data["split"], seed)
    counts = {"train": KNOWN, "test": laboratory.test}
    device = choose_device(laboratory.device)
    known, asked = (
        extract(
            Worn(loaded.method, number), batches_of(loaded, spread(parts[name], min(most, len(parts[name])))), device
        )
        for number, (name, most) in enumerate(counts.items())
    )
    return knn_accuracy(known.blocks[-1], known.classes, asked.blocks[-1], asked.classes)


@torch.no_grad()
def recovery(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    """Over the features' variance the modules' error, over their deviation the noise: means over modules."""
    method, batches = trained_and_tested(laboratory, arm, seed)
    found: list[tuple[float, float]] = []

    def note(module: Booster, given: tuple, _: Tensor) -> None:
        x = given[0]
        error = (x - module.recovered(x, torch.zeros_like(x))[1]).square().mean()
        variance = x.var((0, 1)).mean()
        found.append((float(error / variance), float(F.softplus(module.scale).mean() / variance.sqrt())))

    for module in method.encoder.trunk.between.values():
        module.register_forward_hook(note)
    method.encoder(next(iter(batches))["image"])
    error, noise = (statistics.fmean(values) for values in zip(*found, strict=True))
    return {"module error": error, "module noise": noise}
