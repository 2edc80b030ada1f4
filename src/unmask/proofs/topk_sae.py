"""Keeping the k largest latents costs less error than a penalty on their sum; few die where dead ones are revived.

The activations are tokens of a small MAE, vectors of patches of small photographs, from a short training; those that
are measured come from the photographs' test part.
Arms: six values of k; the ReLU with three penalties, each compared with the k whose number of latents in use is next
to its own, by interpolating the error between them; the second k without revival; and the second k with a quarter and
with four times the latents. Measured: the error as a share of the variance, latents in use, and those that never are.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from unmask.app.looking import batches_of, batches_to_measure, pictures_of
from unmask.app.measuring import labelled
from unmask.app.runs import load
from unmask.app.watching import spread
from unmask.evaluate.features import tokens as tokens_of
from unmask.evaluate.sparsity import sparsity
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.presets import Preset
from unmask.train.engine import choose_device

READER = "mae"  # whose data the proof starts from
HOST = 1 / 24  # of the preset's epochs, for the MAE whose tokens these are
ROWS = {"train": 100_000, "test": 20_000}  # activations that are trained on, and measured
PATCHES = 16  # of a photograph, drawn at random
RATE, BATCH = 1e-3, 1024  # the first per 256 samples
EPOCHS = 4.0
LATENTS = 1024
CHOICES = (8, 16, 32, 64, 128, 256)  # the penalties leave 70 to 220 latents in use, between the last ones
PENALTIES = (0.02, 0.05, 0.1)
DEAD = 20_000  # activations without firing
SHARED: dict[str, Any] = {"latents": LATENTS, "revival_dead_after": DEAD}
FEW = 0.1  # share of latents that may be dead


def arms_of() -> dict[str, dict[str, Any]]:
    """What distinguishes the arms."""
    second = CHOICES[1]
    arms: dict[str, dict[str, Any]] = {f"k {k}": {"k": k} for k in CHOICES}
    arms |= {f"penalty {p}": {"activation": "relu", "penalty": p, "revival_weight": 0.0} for p in PENALTIES}
    arms["without revival"] = {"k": second, "revival_weight": 0.0}
    return arms | {f"{LATENTS * f:.0f} latents": {"k": second, "latents": int(LATENTS * f)} for f in (0.25, 4)}


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    host = replace(preset.arm("host", "mae"), epochs=preset.epochs * HOST)
    numbers: dict[str, list[dict[str, float]]] = {name: [] for name in arms_of()}
    for seed in seeds:
        place = activations(laboratory, host, seed)
        inner = replace(laboratory, data=place, limit=ROWS["train"], method="topk_sae")
        for name, settings in arms_of().items():
            arm = Arm(name, "topk_sae", {**SHARED, **settings}, EPOCHS, RATE, BATCH, 0)
            numbers[name].append(inner.noted(arm, seed, "sparsity", partial(measured, inner, arm, seed)))
    arms = [Arm(name, "topk_sae", {**SHARED, **change}, EPOCHS, RATE, BATCH, 0) for name, change in arms_of().items()]
    claims = []
    for penalty in PENALTIES:
        rows = numbers[f"penalty {penalty}"]
        gains = [row["error"] - frontier(numbers, i, row["used"]) for i, row in enumerate(rows)]
        found = {**summary(gains), "used": summary([row["used"] for row in rows])["mean"]}
        claims.append(Claim(f"less error than penalty {penalty} with as many latents in use", clear(found), found))
    dead = summary([row["dead"] for row in numbers[f"k {CHOICES[1]}"]])
    claims.append(Claim(f"at most {FEW:.0%} of the latents are dead", dead["mean"] <= FEW, dead))
    saved = difference(numbers, "without revival", f"k {CHOICES[1]}", "dead")
    claims.append(Claim("fewer latents are dead with revival than without", saved["mean"] > 0, saved))
    for fewer, more in ((f"{LATENTS // 4} latents", f"k {CHOICES[1]}"), (f"k {CHOICES[1]}", f"{LATENTS * 4} latents")):
        gain = difference(numbers, fewer, more, "error")
        claims.append(Claim(f"less error with more latents: {more} below {fewer}", clear(gain), gain))
    return Findings(arms, seeds, numbers, claims, ["activations: tokens of a small MAE, one vector per patch"])


def activations(laboratory: Laboratory, host: Arm, seed: int) -> Path:
    """Tokens of the finished host for training and test pictures, written once."""
    run = laboratory.trained(host, seed)
    folder = run.parent / "tokens"
    if not folder.is_dir():
        loaded, device = load(run), choose_device(laboratory.device)
        parts = labelled(pictures_of(loaded, laboratory.data), loaded.config.data["split"], seed)
        unfinished, chance = folder.with_suffix(".part"), np.random.default_rng(seed)
        for name, count in ROWS.items():
            part = batches_of(loaded, spread(parts[name], math.ceil(count / PATCHES)))
            rows = [some(tokens.numpy(), chance) for _, tokens in tokens_of(loaded.method, part, device)]
            (unfinished / name).mkdir(parents=True, exist_ok=True)
            np.save(unfinished / name / "tokens.npy", np.concatenate(rows))
        unfinished.rename(folder)
    return folder


def some(tokens: Float[np.ndarray, "b n d"], chance: np.random.Generator) -> Float[np.ndarray, "k d"]:
    """A few places of every sample, drawn without repetition."""
    kept = chance.random(tokens.shape[:2]).argsort(1)[:, :PATCHES, None]
    return np.take_along_axis(tokens, kept, 1).reshape(-1, tokens.shape[-1])


def measured(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    """Error, latents in use and dead latents of the finished arm."""
    loaded = load(laboratory.trained(arm, seed))
    return sparsity(loaded.method, batches_to_measure(loaded, None, ROWS["test"]), choose_device(laboratory.device))


def frontier(numbers: dict[str, list[dict[str, float]]], seed: int, used: float) -> float:
    """The error of keeping the largest at that many latents in use: straight lines between the arms, in logarithms."""
    points = sorted((numbers[f"k {k}"][seed]["used"], numbers[f"k {k}"][seed]["error"]) for k in CHOICES)
    logs = [(math.log(max(x, 1e-6)), math.log(max(y, 1e-12))) for x, y in points]
    at = math.log(max(used, 1e-6))
    first, second = next(((a, b) for a, b in pairwise(logs) if at <= b[0]), logs[-2:])
    slope = (second[1] - first[1]) / max(second[0] - first[0], 1e-12)
    return math.exp(first[1] + slope * (at - first[0]))
