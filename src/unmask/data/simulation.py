"""A simulated task that can be started again from any state of its simulator."""

from typing import Any

import numpy as np
from jaxtyping import Float


class Simulation:
    """A task of gymnasium with numbers as observations and actions, without an end by time.

    Raises ImportError, with what to install, where gymnasium is missing, and ValueError for a task that it does not
    know, whose actions are not numbers, or whose state cannot be put back.
    """

    def __init__(self, task: str):
        try:
            import gymnasium

            made: Any = gymnasium.make(task)
        except ImportError as error:
            raise ImportError(f"simulating {task} needs {error.name}: pip install 'unmask[control]'") from error
        except gymnasium.error.Error as error:
            raise ValueError(f"gymnasium knows no task {task!r}: {str(error).splitlines()[0]}") from None
        self.task, self._task = task, made.unwrapped
        spaces = (self._task.observation_space, self._task.action_space)
        if not all(isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1 for space in spaces):
            raise ValueError(
                f"{task} has the observations {spaces[0]} and actions {spaces[1]}; both must be numbers in a row"
            )
        self._task.reset(seed=0)
        self._moves = hasattr(self._task, "set_state")  # as those of MuJoCo do; others hold `state` and nothing else
        if not self._moves and not hasattr(self._task, "state"):
            raise ValueError(f"{task} cannot be started again from a state; goals can only be reached where it can")
        self.low, self.high = (np.asarray(end, dtype=np.float64) for end in (spaces[1].low, spaces[1].high))

    def reset(self, seed: int) -> Float[np.ndarray, "s"]:
        """The first observation of a new episode."""
        return self._task.reset(seed=seed)[0]

    @property
    def state(self) -> Float[np.ndarray, "k"]:
        """All that is needed to start again from here."""
        if self._moves:
            return np.concatenate([self._task.data.qpos, self._task.data.qvel])
        return np.array(self._task.state, dtype=np.float64)

    def restore(self, state: Float[np.ndarray, "k"]) -> None:
        """Puts the simulator into a state that it had."""
        if self._moves:
            places = len(self._task.data.qpos)
            self._task.set_state(state[:places], state[places:])
        else:
            self._task.reset(seed=0)
            self._task.state = np.array(state, dtype=np.float64)

    def step(self, action: Float[np.ndarray, "a"]) -> tuple[Float[np.ndarray, "s"], float]:
        """The next observation, and the reward; the action is kept within its range."""
        kept = np.clip(np.asarray(action, dtype=np.float64), self.low, self.high)
        found, reward, *_ = self._task.step(kept)
        return found, float(reward)
