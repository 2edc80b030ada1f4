"""Experts of clusters serve tasks like their clusters; pictures of one kind go the same ways.

Arms: MoCE; MAE at equal steps and for as long as a training of MoCE takes; the network untrained. Measured: kNN and
linear accuracy as in MAE's proof; how evenly the experts are used; how much of the kind of picture (vehicle or
animal) the experts' way tells; and for each kind as a task of its own, kNN accuracy with the ordinary network that most
of its pictures go through, against the one that most of the other kind's do.
"""

import statistics
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unmask.evaluate.knn import knn_accuracy
from unmask.proofs.cost import by_the_clock, equal_compute
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.held_out import trained_and_tested
from unmask.proofs.presets import Preset

FAMILY = True
PROBES = ("knn", "linear")
FEW: dict[str, Any] = {"routes_experts": 4, "routes_clusters": 32, "routes_gate": "one"}  # for pictures as few as these
VEHICLES = (0, 1, 8, 9)  # classes of CIFAR-10
NOTE = (
    "Small preset: four experts, in one block alone, begin as copies of each other and learn for 375 steps of their"
    " own. They are used evenly by then, and do not serve one kind of picture better than the other."
)
UNEVEN = 2  # as many times its share as the busiest expert may have


def arms_of(preset: Preset) -> list[Arm]:
    """MoCE, MAE and the untrained network, in this order."""
    return [preset.arm("experts", "moce", **FEW), preset.arm("mae", "mae"), preset.untrained()]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    numbers = laboratory.run(arms, seeds)
    longer = by_the_clock(laboratory, arms[0], numbers["experts"], numbers["mae"])
    arms.append(equal_compute(arms[1], longer))
    numbers |= laboratory.run(arms[-1:], seeds)
    for seed, row in zip(seeds, numbers["experts"], strict=True):
        row |= laboratory.noted(arms[0], seed, "ways", partial(ways, laboratory, arms[0], seed))
    rows = numbers["experts"]
    told = summary([row["kinds told"] - row["kinds guessed"] for row in rows])
    own = summary([row["own expert"] - row["other expert"] for row in rows])
    spare = summary([UNEVEN - row["busiest"] for row in rows])
    claims = [
        Claim("the way of a picture tells its kind better than guessing the more frequent one", clear(told), told),
        Claim(f"no expert has more than {UNEVEN} times its share", clear(spare), spare),
        Claim("kNN within a kind: above with its own expert than with the other kind's", clear(own), own),
    ]
    extra: dict[str, Any] = {"training time, experts to mae": longer}
    for probe in PROBES:
        gain = difference(numbers, "experts", "untrained", probe)
        claims.append(Claim(f"{probe}: experts above the untrained encoder", clear(gain), gain))
        for other in ("mae", "mae, equal compute"):
            extra[f"{probe}: experts minus {other}"] = difference(numbers, "experts", other, probe)
    return Findings(arms, seeds, numbers, claims, [NOTE], extra)


@torch.no_grad()
def ways(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    """Where test pictures go, and what each kind gains of its own expert."""
    method, batches = trained_and_tested(laboratory, arm, seed)
    batches = list(batches)
    label = torch.cat([batch["label"] for batch in batches])
    cluster = torch.cat([method.clusters_of(batch) for batch in batches])
    routes = method.routes(cluster, method.routes.probabilities())
    vehicle = torch.isin(label, torch.tensor(VEHICLES))
    way = torch.stack([expert for expert, _ in routes.values()], -1)
    busiest = max(float(torch.bincount(expert).max()) / len(label) for expert in way.unbind(-1))
    encoders = [method.standalone(most_common(cluster[vehicle == kind])) for kind in (False, True)]
    pooled = [torch.cat([_pooled(encoder, batch["image"]) for batch in batches]) for encoder in encoders]
    scores: dict[str, list[float]] = {"own expert": [], "other expert": []}
    for kind in (0, 1):
        task = vehicle == bool(kind)
        for name, features in (("own expert", pooled[kind]), ("other expert", pooled[1 - kind])):
            scores[name].append(known_by_others(features[task], label[task]))
    return {
        "kinds told": told(way, vehicle),
        "kinds guessed": float(torch.stack([vehicle, ~vehicle]).float().mean(-1).max()),
        "busiest": busiest * method.routes.experts,
        **{name: statistics.fmean(values) for name, values in scores.items()},
    }


def known_by_others(features: Float[Tensor, "n d"], label: Int64[Tensor, "n"]) -> float:
    """kNN accuracy of every second picture among the others; they come class by class."""
    return knn_accuracy(features[::2], label[::2], features[1::2], label[1::2])


def most_common(number: Int64[Tensor, "n"]) -> int:
    return int(torch.bincount(number).argmax()) if len(number) else 0


def told(way: Int64[Tensor, "n w"], kind: Tensor) -> float:
    """Share of the pictures whose kind is the more frequent one of their way."""
    _, number = way.unique(dim=0, return_inverse=True)
    counts = torch.stack(
        [torch.bincount(number[kind == one], minlength=int(number.max()) + 1) for one in (False, True)]
    )
    return float(counts.amax(0).sum()) / len(kind)


def _pooled(encoder, image: Tensor) -> Tensor:
    return encoder(image)[:, encoder.prefix :].mean(1)
