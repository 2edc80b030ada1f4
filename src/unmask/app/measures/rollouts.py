"""Acting in the simulator that a run's recordings come from: goals reached, and rewards."""

import numpy as np

from unmask.app.looking import pictures_of
from unmask.app.measure import Asked, Measured
from unmask.app.measures.goals import AHEAD, on_the_way
from unmask.app.runs import Loaded
from unmask.data.simulation import Simulation
from unmask.data.trajectories import TrajectorySource
from unmask.data.trajectory_card import TrajectoryCard
from unmask.data.values import whole_of
from unmask.evaluate.features import frozen
from unmask.evaluate.rollouts import Cases, Planner, Policy, choose_cases, nearest, roll_out

GOALS = 100  # starts, as in the reference
PROMPT = 5  # observations that a prompt shows


def measure(loaded: Loaded, asked: Asked, *, ahead: int = AHEAD, cases: int = GOALS, prompt: int = PROMPT) -> Measured:
    """From states of the test episodes: the least distance to a state recorded `ahead` steps later, planned once and
    anew after every step, also over goals at every quarter of the way; and the reward of going on after `prompt`
    observations. Beside it: the recorded actions, random ones, and none.

    Raises ValueError for a method that does not plan, and for recordings of no known simulator.
    """
    if not hasattr(loaded.method, "plan"):
        raise ValueError(f"{loaded.config.method} does not plan actions; rollouts need a method that does")
    card: TrajectoryCard = loaded.card
    source = whole_of(pictures_of(loaded, asked.data), TrajectorySource)
    with frozen(loaded.method):
        reached = goals_reached(
            Planner(loaded.method, card, device=asked.device), source, card, ahead, cases, asked.seed
        )
        rewards = rewards_of(
            Planner(loaded.method, card, goals=False, device=asked.device), source, ahead, cases, prompt, asked.seed
        )
    lines = [f"{cases} starts of the test episodes, goals {ahead} steps ahead; distances in deviations of the states"]
    lines += [f"{name:34}{value:>9.3f}" for name, value in reached.items()]
    lines += [f"reward of {ahead} steps", *(f"{name:34}{value:>9.3f}" for name, value in rewards.items())]
    return Measured({"ahead": ahead, "cases": cases, "distance": reached, "reward": rewards}, "\n".join(lines))


def goals_reached(
    planner: Policy,
    source: TrajectorySource,
    card: TrajectoryCard,
    ahead: int,
    count: int,
    seed: int,
    past: int = 1,
) -> dict[str, float]:
    """Mean distances to one goal, and to goals on the way, of the planner and of what needs no network.

    past: most observations that the planner is given when it plans anew.
    """
    found = {}
    for name, steps in (("one goal", (ahead,)), ("goals on the way", on_the_way(ahead))):
        chosen, worlds = prepared(source, steps, count, 1, seed)
        scale = np.array(card.std[: card.states])
        scale[scale <= 0] = 1.0
        policies = {
            "planned once": (planner, False),
            "planned anew": (planner, True),
            **{what: (policy, False) for what, policy in without_network(chosen, source, seed).items()},
        }
        for what, (policy, again) in policies.items():
            observed, _ = roll_out(worlds, chosen, policy, again, past)
            found[f"{name}, {what}"] = float(nearest(observed, chosen.goals, steps, scale).mean())
    return found


def rewards_of(
    planner: Policy, source: TrajectorySource, ahead: int, count: int, prompt: int, seed: int
) -> dict[str, float]:
    """Mean sums of rewards after a prompt from the test episodes."""
    chosen, worlds = prepared(source, (ahead,), count, prompt, seed)
    policies = {"prompted": (planner, True)} | {
        what: (policy, False) for what, policy in without_network(chosen, source, seed).items()
    }
    sums = {what: roll_out(worlds, chosen, policy, again)[1].sum(1) for what, (policy, again) in policies.items()}
    return {what: float(rewards.mean()) for what, rewards in sums.items()}


def prepared(
    source: TrajectorySource, ahead: tuple[int, ...], count: int, past: int, seed: int
) -> tuple[Cases, list[Simulation]]:
    """Starts from the test episodes, and a simulator for each. Raises ValueError where none is known."""
    episodes = source.episodes_of("test")
    tasks = {episode.task for episode in episodes}
    if len(tasks) != 1 or not all(tasks):
        raise ValueError(
            f"{source.origin} does not name one simulated task for its test episodes; rollouts need recordings with"
            " `task` and `states`, as `unmask.data.recording.save` writes them"
        )
    chosen = choose_cases(episodes, count, past, ahead, np.random.default_rng(seed))
    return chosen, [Simulation(next(iter(tasks))) for _ in range(count)]


def without_network(chosen: Cases, source: TrajectorySource, seed: int) -> dict[str, Policy]:
    """What the recorded actions do, those of other moments of the training episodes, and none at all."""
    dice = np.random.default_rng(seed)
    known = np.concatenate([episode.actions for episode in source.episodes_of("train")])
    drawn = known[dice.integers(len(known), size=chosen.actions.shape[:2])]
    return {
        "recorded actions": lambda *_: chosen.actions,
        "random actions": lambda *_: drawn,
        "no action": lambda *_: np.zeros_like(chosen.actions),
    }
