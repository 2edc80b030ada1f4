"""With as many parameters, depth pays more after masked autoencoding than when classes are learned from scratch.

Arms: the network's own shape, twice and four times as deep, each pretrained and each untrained; the shallow one also
for as long as a training of the deepest takes. Measured: accuracy after fine-tuning on a few labels of every class, for
the untrained networks training from scratch; the share of detail in the tokens of every block, of the deepest
network as pretrained and as learned from scratch; kNN and linear accuracy as in MAE's proof.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from unmask.app.runs import load
from unmask.core import Batch
from unmask.evaluate.finetune import FineTune, FineTuned, finetune
from unmask.evaluate.mixing import Mixing
from unmask.parts.nets.transformer import Record
from unmask.parts.ops.smoothing import detail_share
from unmask.proofs.cost import equal_compute, side_by_side
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.few_labels import BATCH, few_batches, tuned
from unmask.proofs.presets import Preset

FAMILY = True
TIMES = (1, 2, 4)
PROBES = ("few labels", "knn", "linear")
NOTE = (
    "Small preset: four times the depth does worse by every probe after three epochs, as it does from scratch, so"
    " there is no gain of depth to compare. One learning rate serves both depths, and may be too large for the deeper"
    " one; the paper's depths are compared after hundreds of epochs. The detail in the last block of the deeper"
    " network differs from seed to seed by more than the claim asks."
)


def arms_of(preset: Preset) -> list[Arm]:
    """Every shape pretrained, then every shape untrained; the shapes between the first and the last in full alone."""
    shapes = TIMES if preset.thorough else (TIMES[0], TIMES[-1])
    trained = [preset.arm(f"{times} x depth", "bamboo_config_study", times=times) for times in shapes]
    return [*trained, *(replace(arm, name=f"{arm.name}, scratch", epochs=0) for arm in trained)]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    deepest = arms[len(arms) // 2 - 1]
    shallow, deep = arms[0].name, deepest.name
    longer = side_by_side(laboratory, deepest, arms[0])
    arms.append(equal_compute(arms[0], longer))
    numbers = laboratory.run(arms, seeds)
    laboratory.add(numbers, arms, seeds, "taught", taught)
    gains = [difference(numbers, f"{deep}{kind}", f"{shallow}{kind}", "few labels") for kind in ("", ", scratch")]
    rows = zip(
        numbers[deep], numbers[shallow], numbers[f"{deep}, scratch"], numbers[f"{shallow}, scratch"], strict=True
    )
    gained = summary([(a["few labels"] - b["few labels"]) - (c["few labels"] - d["few labels"]) for a, b, c, d in rows])
    pairs = zip(numbers[deep], numbers[f"{deep}, scratch"], strict=True)
    kept = summary([a["detail before"] - b["detail after"] for a, b in pairs])
    claims = [
        Claim("few labels: depth gains more after masked autoencoding than from scratch", clear(gained), gained),
        Claim("few labels: deep above shallow after masked autoencoding", clear(gains[0]), gains[0]),
        Claim("deepest network, last block: more detail by masked autoencoding than by classes", clear(kept), kept),
    ]
    extra: dict[str, Any] = {"training time, deepest to shallow": longer, "few labels: depth from scratch": gains[1]}
    for probe in PROBES:
        extra[f"{probe}: deep minus shallow, equal compute"] = difference(numbers, deep, arms[-1].name, probe)
    return Findings(arms, seeds, numbers, claims, [NOTE], extra)


def taught(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    """Test accuracy after fine-tuning on a few labels, and the detail in the last block before and after it."""
    loaded = load(laboratory.trained(arm, seed))
    batches, epochs = few_batches(laboratory, loaded, seed)
    some = next(iter(batches["test"]))
    after: list[float] = []

    def tune(*arguments, **settings) -> FineTuned:
        mixing = Mixing(0, 0, seed=seed)
        found = finetune(*arguments, layer_decay=1.0, drop_path=0.0, mixing=mixing, **settings)
        after.append(last_detail(found.classifier.method, some))
        return found

    before = last_detail(loaded.method, some)
    probe = FineTune(epochs, BATCH, tune, seed=seed)
    return {"few labels": tuned(laboratory, loaded, batches, probe), "detail before": before, "detail after": after[0]}


@torch.no_grad()
def last_detail(method: Any, batch: Batch) -> float:
    """Share of detail in the tokens after the last block, over whole pictures."""
    record, encoder = Record(), method.encoder
    encoder(batch["image"].to(next(encoder.parameters()).device), record=record)
    return float(detail_share(record.tokens[-1][:, encoder.prefix :].float()).mean())
