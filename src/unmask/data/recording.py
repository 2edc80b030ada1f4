"""Recorded behaviour of mixed quality in simulated tasks, from words and a seed.

An episode is acted by a written controller, by none (actions that drift at random), or by both in equal shares.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from unmask.core.assembly import Argument, parse
from unmask.data.simulation import Simulation
from unmask.data.trajectory_files import Episode

SKILLED = {"skilled": 1.0, "middling": 0.5, "random": 0.0}  # share of the controller in an action
EPISODES, STEPS, SEED = 90, 200, 0
DRIFT = 0.9  # how much of a random action stays in the next
NOISE = 0.1  # on top of every action, as a share of half its range

Row = Float[np.ndarray, "_"]


def swing_up(seen: Row) -> Row:
    """Brings a pendulum to the energy of standing upright, and holds it there. Seen: cosine, sine, speed."""
    cosine, sine, speed = seen
    if cosine > 0.9:
        return np.array([-10 * np.arctan2(sine, cosine) - 2 * speed])
    missing = 15 - (speed**2 / 2 + 15 * cosine)  # gravity over length, 3 g / 2 l
    return np.array([missing * (np.sign(speed) or 1.0)])


def reach(seen: Row) -> Row:
    """Pulls the fingertip of an arm with two joints towards its target, slowing down. Seen: as Reacher has it."""
    first, second = np.arctan2(seen[2:4], seen[0:2])
    sides = np.array(
        [[0.1 * np.cos(first), 0.1 * np.sin(first)], [0.11 * np.cos(first + second), 0.11 * np.sin(first + second)]]
    )
    tips = np.array([sides[0] + sides[1], sides[1]])  # of what either joint turns
    turns = np.stack([-tips[:, 1], tips[:, 0]], 1)
    return 8 * turns @ -seen[8:10] - 0.02 * seen[6:8]


CONTROLLERS: dict[str, Callable[[Row], Row]] = {"Pendulum-v1": swing_up, "Reacher-v5": reach}


def record(task: str, episodes: int = EPISODES, steps: int = STEPS, seed: int = SEED) -> list[Episode]:
    """Episodes of every quality by turns. A task without a written controller is acted at random alone."""
    if episodes < 1 or steps < 2:
        raise ValueError(f"{episodes} episodes of {steps} steps record nothing; give at least 1 of 2")
    simulation, dice = Simulation(task), np.random.default_rng(seed)
    kinds = list(SKILLED) if task in CONTROLLERS else ["random"]
    digits = len(str(episodes))
    return [
        _episode(simulation, dice, kinds[i % len(kinds)], f"{task}[{i:0{digits}d}]", steps, seed * 1_000_003 + i)
        for i in range(episodes)
    ]


def _episode(simulation: Simulation, dice: np.random.Generator, kind: str, name: str, steps: int, seed: int) -> Episode:
    middle, half = (simulation.high + simulation.low) / 2, (simulation.high - simulation.low) / 2
    share, drift = SKILLED[kind], np.zeros_like(middle)
    seen, rows = simulation.reset(seed), []
    for _ in range(steps):
        drift = DRIFT * drift + np.sqrt(1 - DRIFT**2) * dice.normal(size=drift.shape)
        wanted = CONTROLLERS[simulation.task](seen) if share else middle
        action = share * np.clip(wanted, simulation.low, simulation.high) + (1 - share) * (middle + half * drift)
        action = np.clip(action + NOISE * half * dice.normal(size=drift.shape), simulation.low, simulation.high)
        action, state = action.astype(np.float32), simulation.state
        after, reward = simulation.step(action)
        rows.append((seen, action, reward, state))
        seen = after
    states, actions, rewards, simulator = (np.array(column) for column in zip(*rows, strict=True))
    return Episode(
        name, states.astype(np.float32), actions, rewards.astype(np.float32), simulator, kind, None, simulation.task
    )


def record_named(spec: str) -> list[Episode]:
    """What words such as `Pendulum-v1:episodes=30,seed=1` name. Raises ValueError for words that it does not know."""
    task, _, words = spec.partition(":")
    usual = {"episodes": EPISODES, "steps": STEPS, "seed": SEED}
    given = dict(word.partition("=")[::2] for word in words.split(",") if word)
    for name in given:
        if name not in usual:
            raise ValueError(f"{name!r} in {spec} is unknown; a recording has {', '.join(usual)}")
    return record(task, **{name: parse(value, Argument(name, int, usual[name], task)) for name, value in given.items()})


def save(episodes: Sequence[Episode], path: str | Path) -> None:
    """Writes episodes of one task, all with a class or none, as one .npz file that is read back as DATA."""
    names = sorted({episode.label for episode in episodes if episode.label is not None})
    columns: dict[str, list[Any]] = {
        "observations": [e.states for e in episodes],
        "actions": [e.actions for e in episodes],
        "rewards": [e.rewards for e in episodes],
        "states": [e.simulator for e in episodes],
    }
    whole = {name: np.concatenate(parts) for name, parts in columns.items() if all(p is not None for p in parts)}
    if names:
        whole["y"] = np.array([names.index(str(episode.label)) for episode in episodes])
        whole["class_names"] = np.array(names)
    np.savez_compressed(
        path,
        allow_pickle=False,
        ptr=np.cumsum([0, *map(len, episodes)]),
        task=np.array(episodes[0].task),
        **whole,
    )
