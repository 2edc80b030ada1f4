"""Decoding in parallel takes far fewer steps than one by one for pictures as good; concave schedules are best.

All arms have the ids of one tokenizer per seed and transformers of one size, taught the classes. Arms: the cosine
schedule, for masks and for decoding in 8 steps; a square (concave), a line, and a square root (convex) in its place;
and a causal transformer that decodes the ids one by one. Measured: the Frechet distance of samples from the test
pictures in features of a small classifier taught on the training pictures, and how often the network was called.
"""

from collections.abc import Sequence
from typing import Any

from unmask.app.runs import load
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.generation import NAME, Judge, quality, taught_by
from unmask.proofs.presets import Preset
from unmask.proofs.vq_tokenizer import SIZE, tokenizer

RATE, BATCH, WARMUP = 4e-3, 64, 0.1
SHORTER = 1 / 32  # of the preset's epochs
STEPS = 8
NETWORK = {"model": "96x3x3", "dropout": 0.1, "decoding_steps": STEPS, "image_size": SIZE}
SCHEDULES = {"cosine": "cosine", "square": "pow2", "line": "uniform", "square root": "pow0.5"}
NOTE = (
    "A causal transformer learns from every id of every picture, MaskGIT from the hidden ones alone, so that after 1.5"
    " epochs it is further behind: with seed 0, 4 epochs bring its distance from 59 to 44, and a temperature of choice"
    " of 10 then to 40. The paper trains 300 epochs of ImageNet."
)
LESSONS = 3  # epochs for which the judge is taught
SAMPLES = 2000  # pictures made and compared
NEAR = 1.1  # samples count as as good up to this factor of the distance
FEWER = 5.0  # times fewer calls of the network


def arms_of(preset: Preset) -> list[Arm]:
    shared = {**NETWORK, "tokenizer": tokenizer(preset)}
    tasks = {name: {"schedule": kind, "decoding_schedule": kind} for name, kind in SCHEDULES.items()}
    tasks["one by one"] = {"decoding_order": "raster"}
    epochs = preset.epochs * SHORTER
    return [Arm(name, "maskgit", {**shared, **task}, epochs, RATE, BATCH, WARMUP) for name, task in tasks.items()]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    laboratory.train(arms, seeds, "quality")
    judge: list[Judge] = []
    numbers = {arm.name: [measured(laboratory, arm, seed, judge) for seed in seeds] for arm in arms}
    ratio = summary(
        [a["samples"] / b["samples"] for a, b in zip(numbers["cosine"], numbers["one by one"], strict=True)]
    )
    calls = {"mean": numbers["one by one"][0]["calls"] / numbers["cosine"][0]["calls"]}
    claims = [
        Claim(f"samples in {STEPS} steps as near to real pictures as one by one", ratio["mean"] <= NEAR, ratio),
        Claim(f"at least {FEWER:.0f} times fewer calls of the network", calls["mean"] >= FEWER, calls),
    ]
    for concave in ("cosine", "square"):
        for other in ("line", "square root"):
            gain = difference(numbers, other, concave, "samples")
            claims.append(Claim(f"samples nearer to real pictures: {concave} than {other}", clear(gain), gain))
    return Findings(arms, seeds, numbers, claims, [f"distances in the features of: {NAME}", NOTE])


def measured(laboratory: Laboratory, arm: Arm, seed: int, judge: list[Judge]) -> dict[str, float]:
    """Quality of the samples of the finished arm. judge: taught when it is first needed."""
    return laboratory.noted(arm, seed, "quality", lambda: _measure(laboratory, arm, seed, judge))


def _measure(laboratory: Laboratory, arm: Arm, seed: int, judge: list[Judge]) -> dict[str, float]:
    loaded = load(laboratory.trained(arm, seed))
    if not judge:
        judge.append(taught_by(laboratory, loaded, LESSONS))
    found = quality(loaded, judge[0], laboratory.data, min(laboratory.test, SAMPLES), seed)
    return found | {"calls": float(_calls(loaded.method))}


def _calls(method: Any) -> int:
    """How often the network is called for a picture."""
    return method.grid[0] * method.grid[1] if method.causal else method.decoding.steps
