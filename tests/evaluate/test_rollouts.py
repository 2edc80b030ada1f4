"""Acting from recorded states, in a world that adds its actions up."""

import numpy as np
import pytest
import torch

from unmask.data.trajectory_files import Episode
from unmask.evaluate.goal_tuning import tune_to_goals
from unmask.evaluate.goals import MANY, MEAN, NONE, ONE, goal_errors
from unmask.evaluate.rollouts import Planner, choose_cases, nearest, roll_out


class Line:
    """A point on a line: its place is the state, an action moves it, the reward is the place."""

    def restore(self, state):
        self.place = np.array(state, dtype=np.float64)

    def step(self, action):
        self.place = self.place + action
        return self.place.copy(), float(self.place[0])


class Walker(torch.nn.Module):
    """Plans equal steps to the next goal, in scaled numbers; without a goal, the step before."""

    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(1.0))

    def plan(self, states, actions, goals, ahead):
        if goals is None:
            before = actions[:, -1:] if actions.shape[1] else states[:, :1] * 0 + 9.0
            return before.expand(-1, ahead[-1], -1)
        return self.factor * ((goals[:, :1] - states[:, -1:]) / ahead[0]).expand(-1, ahead[-1], -1)

    def tunable(self, what):
        return [self.factor]


class Card:
    def scaled_states(self, states):
        return states

    scaled_actions = restored_actions = scaled_states


def episodes(simulator: bool = True) -> list[Episode]:
    actions = np.where(np.arange(12) % 3 == 0, 2.0, 1.0)[:, None].astype(np.float32)
    places = np.cumsum([[0.0], *actions[:-1]], axis=0).astype(np.float32)
    return [Episode("e", places, actions, places[:, 0], places.astype(np.float64) if simulator else None)]


def cases(count: int = 4, past: int = 1, ahead: tuple[int, ...] = (3,)):
    return choose_cases(episodes(), count, past, ahead, np.random.default_rng(0))


def test_cases_hold_what_was_recorded_around_their_start():
    found = cases(past=3, ahead=(2, 4))
    assert (found.past.shape, found.done.shape, found.goals.shape, found.actions.shape) == (
        (4, 3, 1),
        (4, 2, 1),
        (4, 2, 1),
        (4, 4, 1),
    )
    assert np.array_equal(found.starts, found.past[:, -1])
    assert np.array_equal(found.past[:, -1:] + found.actions.sum(1, keepdims=True), found.goals[:, 1:])
    assert np.array_equal(found.past[:, :1] + found.done[:, :1], found.past[:, 1:2])


def test_the_recorded_actions_reach_the_goal_and_none_stays():
    found = cases()
    worlds = [Line() for _ in range(4)]
    observed, _ = roll_out(worlds, found, lambda *_: found.actions)
    assert nearest(observed, found.goals, (3,), np.ones(1)).max() < 1e-6
    still, _ = roll_out(worlds, found, lambda *_: 0 * found.actions)
    assert np.allclose(nearest(still, found.goals, (3,), np.full(1, 2.0))[:, 0], found.actions.sum((1, 2)) / 2)


def test_planning_anew_tells_the_policy_what_is_left():
    asked = []

    def policy(past, done, goals, ahead):
        asked.append((past.shape[1], done.shape[1], goals.shape[1], ahead))
        return np.ones((len(past), ahead[-1], 1))

    found = cases(ahead=(2, 4))
    observed, rewards = roll_out([Line() for _ in range(4)], found, policy, again=True, past=3)
    assert asked == [(1, 0, 2, (2, 4)), (2, 1, 2, (1, 3)), (3, 2, 1, (2,)), (3, 2, 1, (1,))]
    assert np.array_equal(observed[:, :, 0], rewards)


def test_every_goal_is_looked_for_after_the_one_before():
    observed = np.array([[[5.0], [1.0], [5.0], [9.0]]])
    assert nearest(observed, np.array([[[5.0], [1.0]]]), (1, 4), np.ones(1)).tolist() == [[0.0, 0.0]]
    assert nearest(observed, np.array([[[1.0], [1.0]]]), (1, 4), np.ones(1)).tolist() == [[4.0, 0.0]]


def test_a_planner_speaks_the_units_of_the_simulator():
    class Halved(Card):
        def scaled_states(self, states):
            return states / 2

        def restored_actions(self, actions):
            return actions * 2

    found = cases()
    plan = Planner(Walker(), Halved())(found.past, found.done, found.goals, (3,))
    assert np.allclose(plan[:, 0], (found.goals[:, 0] - found.past[:, 0]) / 3)
    go_on = cases(past=2)
    assert np.array_equal(Planner(Walker(), Card(), goals=False)(go_on.past, go_on.done, go_on.goals, (3,))[:, 2:],
                          go_on.done)  # fmt: skip


def test_recordings_without_a_simulator_or_too_short_are_refused():
    for found, ahead in ((episodes(False), (3,)), (episodes(), (12,))):
        with pytest.raises(ValueError, match=r"no episode has .* steps, rewards and states of its simulator"):
            choose_cases(found, 2, 1, ahead, np.random.default_rng(0))


def batches(steps: int = 6) -> list[dict[str, torch.Tensor]]:
    """Straight walks, each with a speed of its own."""
    speed = torch.linspace(-1, 1, 5)[:, None, None]
    return [{"state": speed * torch.arange(steps)[:, None], "action": speed.expand(-1, steps, -1)}]


def test_errors_tell_goals_from_none_and_from_the_mean():
    found = goal_errors(Walker(), batches(), batches(), (2, 4))
    assert found[ONE] == pytest.approx(0, abs=1e-12)
    assert found[MANY] == pytest.approx(0, abs=1e-12)
    assert found[MEAN] == pytest.approx(0.5)  # the mean square of the speeds
    assert found[NONE] > 1
    with pytest.raises(ValueError, match="windows of 6 steps hold no goal 6 ahead"):
        goal_errors(Walker(), batches(), batches(), (6,))


@pytest.mark.parametrize("remember", [False, True])
def test_tuning_learns_the_actions_towards_a_goal(remember):
    walker = Walker()
    torch.nn.init.constant_(walker.factor, 0.5)
    losses = tune_to_goals(walker, batches() * 150, steps=150, lr=0.05, remember=remember)
    assert losses[-1] < 1e-3 < losses[0]
    assert walker.factor.item() == pytest.approx(1, abs=0.02)
