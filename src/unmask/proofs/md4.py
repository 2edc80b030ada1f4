"""The weight of the bound makes text more likely than plain cross-entropy does; even times steady it.

Arms: MD4; the same network trained by cross-entropy at hidden characters without the weight; times drawn one by one;
the schedule learned for every character (GenMD4); untrained. All are trained on characters of WikiText-2's validation
part for as many steps, and measured by the same bound, in bits per character, on passages of its test part. Measured as
well: how much the loss of one batch varies between draws, with even times and without, on the trained MD4.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from unmask.app.looking import batches_of, pictures_of
from unmask.app.runs import load
from unmask.app.watching import spread
from unmask.core import Context
from unmask.evaluate.features import frozen
from unmask.evaluate.likelihood import likelihood
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.presets import Preset

NOTE = (
    "After 2,078 steps plain cross-entropy is ahead by the very bound that it does not weigh. The weight is 1/t for the"
    " linear schedule: passages with few hidden characters count most and give the noisiest terms, which a short"
    " training pays for. The full preset trains 200 times as long."
)
DATA = ("wikitext2/valid.txt",)
TEST = "test.txt"  # beside it
SMALL = 20_000  # training samples up to which a preset counts as small
EPOCHS = {True: 4, False: 400}
MODELS = {True: "64x2x2", False: "384x6x6"}
PASSAGES = {True: 128, False: 2048}  # of the test part
RATE, BATCH, SAMPLES = 1e-2, 16, 32  # the first per 256 samples, the last times at which every passage is looked at
DRAWS = 64  # of the loss of one batch
SETTINGS: dict[str, Any] = {"length": 128}
BOUND, PLAIN, DRAWN, LEARNED, UNTRAINED = "md4", "without weight", "times drawn one by one", "genmd4", "untrained"


def arms_of(preset: Preset) -> list[Arm]:
    """MD4, without weight, times one by one, GenMD4, untrained, in this order."""
    small = preset.limit <= SMALL
    settings, epochs = {**SETTINGS, "model": MODELS[small]}, EPOCHS[small]
    md4 = Arm(BOUND, "md4", settings, epochs, RATE, BATCH, epochs * 0.1)
    changes: dict[str, dict[str, Any]] = {
        PLAIN: {"weight": "none"},
        DRAWN: {"antithetic": False},
        LEARNED: {"schedule": "learned"},
    }
    others = [replace(md4, name=name, settings={**settings, **change}) for name, change in changes.items()]
    return [md4, *others, replace(md4, name=UNTRAINED, epochs=0)]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms, passages = arms_of(preset), PASSAGES[preset.limit <= SMALL]
    laboratory.train(arms, seeds, f"bits {passages}")
    numbers = {
        arm.name: [
            laboratory.noted(arm, seed, f"bits {passages}", partial(measured, laboratory, arm, seed, passages))
            for seed in seeds
        ]
        for arm in arms
    }
    claims = []
    for first, second, words in (
        (PLAIN, BOUND, "the weight of the bound gives fewer bits than plain cross-entropy"),
        (UNTRAINED, BOUND, "training gives fewer bits"),
        (BOUND, LEARNED, "the learned schedule gives fewer bits"),
    ):
        gain = difference(numbers, first, second, "bits")
        claims.append(Claim(words, clear(gain), gain))
    for row, seed in zip(numbers[BOUND], seeds, strict=True):
        row |= laboratory.noted(arms[0], seed, "spreads", partial(spreads, laboratory, arms[0], seed))
    steadier = summary([row["steadier"] for row in numbers[BOUND]])
    claims.append(Claim("even times give a steadier loss", clear(steadier), steadier))
    return Findings(arms, seeds, numbers, claims, [NOTE])


def measured(laboratory: Laboratory, arm: Arm, seed: int, passages: int) -> dict[str, float]:
    """Bits per character of the test part by the bound, whatever the arm was trained by."""
    loaded = load(laboratory.trained(arm, seed))
    method: Any = loaded.method
    method.weight = "bound"
    source = pictures_of(loaded, Path(laboratory.data).with_name(TEST))
    generator = torch.Generator().manual_seed(seed)
    found = likelihood(method, batches_of(loaded, spread(source, passages)), SAMPLES, generator)
    laboratory.say(f"{arm.name}, seed {seed}: {found['bits_per_dim']:.4f} bits per character")
    return {"bits": found["bits_per_dim"]}


def spreads(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    """The deviation of the loss of one batch over many draws, with times one by one and even, and their difference."""
    loaded = load(laboratory.trained(arm, seed))
    method: Any = loaded.method
    batch = next(iter(batches_of(loaded, spread(pictures_of(loaded, None), BATCH), BATCH)))
    found = {}
    with torch.no_grad(), frozen(method):
        for name, even in (("one by one", False), ("even", True)):
            method.antithetic = even
            contexts = (Context(generator=torch.Generator().manual_seed(number)) for number in range(DRAWS))
            losses = [float(sum(method.losses(batch, context).values())) for context in contexts]
            found[name] = float(torch.tensor(losses).std())
    return {**found, "steadier": found["one by one"] - found["even"]}
