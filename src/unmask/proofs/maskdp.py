"""A network that saw many shares of states and actions reaches goals without further training, better than with one.

Arms: MaskDP with its five ratios; with a small ratio alone; the same network cloning actions towards goals instead,
step by step with all that came before in sight, for as many steps; untrained. Data: a pendulum, recorded by a
controller, by chance and by both. Measured: the least distance to a state recorded 16 steps later, from states of test
episodes, planned once and anew after every step; then after fine-tuning the decoder to act towards goals.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from unmask.app.looking import pictures_of
from unmask.app.measures.rollouts import goals_reached
from unmask.app.runs import Loaded, load
from unmask.app.training import divide
from unmask.data.stream import TrainingStream
from unmask.data.trajectories import TrajectorySource, open_trajectories
from unmask.data.trajectory_card import TrajectoryView
from unmask.data.values import whole_of
from unmask.evaluate.goal_tuning import tune_to_goals
from unmask.evaluate.rollouts import Planner
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference
from unmask.proofs.presets import Preset
from unmask.train.engine import choose_device

DATA = ("Pendulum-v1:episodes=90,steps=200",)
SMALL = 20_000  # training samples up to which a preset counts as small
EPOCHS = {True: 20, False: 100}
CASES, AHEAD = {True: 100, False: 500}, 16
RATE, BATCH = 4e-3, 64  # the first per 256 samples
TUNING_RATE, TUNING = 5e-4, 0.25  # absolute; of the steps of pretraining
SETTINGS: dict[str, Any] = {"length": 20, "width": 64, "depth": 2, "decoder_depth": 1, "heads": 4}
NOTE = (
    "Cloning was trained for as many steps and sees all that came before. Planned anew, MaskDP is as near without"
    " further training, and nearer once its decoder is tuned for a quarter of the steps."
)
ONCE, ANEW, WAY = "one goal, planned once", "one goal, planned anew", "goals on the way, planned anew"


def arms_of(preset: Preset) -> list[Arm]:
    """All ratios, one small ratio, the network that is to clone, in this order."""
    epochs = EPOCHS[preset.limit <= SMALL]
    arm = Arm("maskdp", "maskdp", SETTINGS, epochs, RATE, BATCH, epochs * 0.05)
    return [
        arm,
        replace(arm, name="one ratio of 0.15", settings={**SETTINGS, "ratios": 0.15}),
        replace(arm, name="cloning", epochs=0),
    ]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    small = preset.limit <= SMALL
    arms = arms_of(preset)
    training, _ = divide(open_trajectories(laboratory.data, SETTINGS["length"]), None, laboratory.limit)
    steps = max(1, round(arms[0].epochs * len(training) / BATCH))
    numbers, extra = {}, {}
    for arm, more in zip(arms, (TUNING, TUNING, 1.0), strict=True):
        work = partial(reached, laboratory, arm, round(more * steps), CASES[small])
        rows = [laboratory.noted(arm, seed, f"goals after {steps}", partial(work, seed)) for seed in seeds]
        numbers[arm.name] = [row["tuned" if arm.epochs == 0 else "plain"] for row in rows]
        extra["untrained" if arm.epochs == 0 else f"{arm.name}, tuned"] = [
            row["plain" if arm.epochs == 0 else "tuned"] for row in rows
        ]
    claims = []
    for number, first, other, words in (
        (ONCE, "one ratio of 0.15", "maskdp", "planned once, nearer to the goal with all ratios than with a small one"),
        (ANEW, "one ratio of 0.15", "maskdp", "planned anew, nearer with all ratios than with a small one"),
        (ANEW, "cloning", "maskdp", "planned anew, nearer without further training than by cloning"),
        (ANEW, "cloning", "one ratio of 0.15", "planned anew, nearer with a small ratio than by cloning"),
        (WAY, "cloning", "maskdp", "goals on the way, nearer without further training than by cloning"),
    ):
        gain = difference(numbers, first, other, number)
        claims.append(Claim(words, clear(gain), gain))
    idle = difference(
        {"idle": [{ONCE: row["one goal, no action"]} for row in numbers["maskdp"]], **numbers}, "idle", "maskdp", ONCE
    )
    claims.append(Claim("planned once, nearer than without any action", clear(idle), idle))
    return Findings(arms, seeds, numbers, claims, [NOTE], extra=extra)


def reached(laboratory: Laboratory, arm: Arm, steps: int, cases: int, seed: int) -> dict[str, dict[str, float]]:
    """Distances of the arm's network as it is, and after training towards goals for so many steps.

    An arm without pretraining clones from scratch and remembers all that came before; the others tune their decoder.
    """
    loaded = load(laboratory.trained(arm, seed))
    cloning = arm.epochs == 0
    source = whole_of(pictures_of(loaded, None), TrajectorySource)
    found = {}
    for name, method in (("plain", loaded.method), ("tuned", copy.deepcopy(loaded.method))):
        if name == "tuned":
            _tune(laboratory, loaded, method, steps, seed, cloning)
        planner = Planner(method, loaded.card, device=choose_device(laboratory.device))
        past = arm.settings["length"] if cloning else 1
        found[name] = goals_reached(planner, source, loaded.card, AHEAD, cases, seed, past)
        laboratory.say(f"{arm.name}, {name}, seed {seed}: {found[name][ONCE]:.3f} once, {found[name][ANEW]:.3f} anew")
    return found


def _tune(laboratory: Laboratory, loaded: Loaded, method: Any, steps: int, seed: int, cloning: bool) -> None:
    training, _ = divide(pictures_of(loaded, None), None, laboratory.limit)
    batch = min(BATCH, len(training))
    stream = TrainingStream(training, loaded.card, TrajectoryView(), seed=seed, batch=batch, steps=steps, budget=1.0)
    rate = RATE * BATCH / 256 if cloning else TUNING_RATE
    device = choose_device(laboratory.device)
    tune_to_goals(
        method,
        stream,
        steps=steps,
        lr=rate,
        what=None if cloning else "decoder",
        remember=cloning,
        device=device,
        seed=seed,
    )
