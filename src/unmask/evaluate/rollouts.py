"""Acting in a simulated task: how near to a goal, and for what reward, from states that were recorded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Rows = Float[np.ndarray, "e _ _"]


@runtime_checkable
class World(Protocol):
    """A simulator that can be started again from its states."""

    def restore(self, state: Float[np.ndarray, "k"]) -> None: ...

    def step(self, action: Float[np.ndarray, "a"]) -> tuple[Float[np.ndarray, "s"], float]: ...


@dataclass(frozen=True, eq=False)
class Cases:
    """Where to start, side by side, and what was recorded from there.

    starts: states of the simulator. past: observations up to the start; done: the actions between them. ahead: steps to
    every goal. goals: the observations recorded there. actions, rewards: recorded on the way to the last.
    """

    starts: Float[np.ndarray, "e k"]
    past: Float[np.ndarray, "e h s"]
    done: Float[np.ndarray, "e g a"]
    ahead: tuple[int, ...]
    goals: Float[np.ndarray, "e n s"]
    actions: Float[np.ndarray, "e p a"]
    rewards: Float[np.ndarray, "e p"]


Policy = Callable[[Rows, Rows, Rows, tuple[int, ...]], Rows]  # past, done, goals, ahead -> the actions to come


def choose_cases(
    episodes: Sequence[Any], count: int, past: int, ahead: tuple[int, ...], generator: np.random.Generator
) -> Cases:
    """Starts drawn from recorded episodes with `states`, `actions`, `rewards` and `simulator`.

    past: observations that are known. Raises ValueError where no episode is long enough or none kept its simulator.
    """
    last = ahead[-1]
    fitting = [e for e in episodes if len(e) >= past + last and e.simulator is not None and e.rewards is not None]
    if not fitting:
        raise ValueError(
            f"no episode has {past + last} steps, rewards and states of its simulator; record some, or set less ahead"
        )
    rows = []
    for _ in range(count):
        episode = fitting[generator.integers(len(fitting))]
        now = int(generator.integers(past - 1, len(episode) - last))
        rows.append(
            (
                episode.simulator[now],
                episode.states[now - past + 1 : now + 1],
                episode.actions[now - past + 1 : now],
                episode.states[[now + steps for steps in ahead]],
                episode.actions[now : now + last],
                episode.rewards[now : now + last],
            )
        )
    starts, before, done, goals, actions, rewards = (np.array(column) for column in zip(*rows, strict=True))
    return Cases(starts, before, done, tuple(ahead), goals, actions, rewards)


def roll_out(
    worlds: Sequence[World], cases: Cases, policy: Policy, again: bool = False, past: int | None = None
) -> tuple[Float[np.ndarray, "e p s"], Float[np.ndarray, "e p"]]:
    """Observations after every step of the way to the last goal, and rewards.

    again: plan anew after every step, with what was seen, instead of once. past: most observations given to the policy.
    """
    for world, start in zip(worlds, cases.starts, strict=True):
        world.restore(start)
    seen, done = cases.past, cases.done
    most = past or seen.shape[1]
    plan = policy(seen, done, cases.goals, cases.ahead)
    observed, rewards = [], []
    for t in range(cases.ahead[-1]):
        if again and t:
            left = [i for i, steps in enumerate(cases.ahead) if steps > t]
            recent = seen[:, -most:]
            between = done[:, done.shape[1] - recent.shape[1] + 1 :]
            plan = policy(recent, between, cases.goals[:, left], tuple(cases.ahead[i] - t for i in left))
        actions = plan[:, 0 if again else t]
        steps = [world.step(action) for world, action in zip(worlds, actions, strict=True)]
        observed.append(np.array([observation for observation, _ in steps]))
        rewards.append(np.array([reward for _, reward in steps]))
        seen = np.concatenate([seen, observed[-1][:, None]], 1)
        done = np.concatenate([done, actions[:, None]], 1)
    return np.stack(observed, 1), np.stack(rewards, 1)


def nearest(
    observed: Float[np.ndarray, "e p s"],
    goals: Float[np.ndarray, "e n s"],
    ahead: tuple[int, ...],
    scale: Float[np.ndarray, "s"],
) -> Float[np.ndarray, "e n"]:
    """The least distance to every goal in the steps after the goal before, up to its own. scale: of every number."""
    before = (0, *ahead[:-1])
    return np.stack(
        [
            (np.linalg.norm((observed[:, first:last] - goals[:, i : i + 1]) / scale, axis=-1)).min(1)
            for i, (first, last) in enumerate(zip(before, ahead, strict=True))
        ],
        1,
    )


class Planner:
    """The plans of a method, in the units of the simulator. card: scales states and puts actions back."""

    def __init__(self, method: Any, card: Any, goals: bool = True, device: torch.device | str = "cpu"):
        self.method, self.card, self.goals, self.device = method.to(device), card, goals, device

    def __call__(self, past: Rows, done: Rows, goals: Rows, ahead: tuple[int, ...]) -> Rows:
        states, wanted = (self.card.scaled_states(self._tensor(x)) for x in (past, goals))
        actions = self.card.scaled_actions(self._tensor(done))
        with torch.no_grad():
            plan = self.method.plan(states, actions, wanted if self.goals else None, ahead)
        return self.card.restored_actions(plan.float().cpu()).numpy()

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(self.device)
