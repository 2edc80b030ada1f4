"""Recorded behaviour: the same from the same words, as good as it says, and started again from any of its states."""

import numpy as np
import pytest

from unmask.data.recording import CONTROLLERS, record, record_named
from unmask.data.simulation import Simulation
from unmask.data.trajectories import open_trajectories

gymnasium = pytest.importorskip("gymnasium", reason="simulated tasks need the extra `control`")


@pytest.fixture(scope="module")
def recorded():
    return record("Pendulum-v1", episodes=3, steps=120)


def test_the_same_words_record_the_same_episodes(recorded):
    again = record_named("Pendulum-v1:episodes=3,steps=120")
    assert all(np.array_equal(a.states, b.states) for a, b in zip(recorded, again, strict=True))
    other = record_named("Pendulum-v1:episodes=3,steps=120,seed=1")
    assert not np.array_equal(recorded[0].states, other[0].states)


def test_skill_shows_in_the_rewards(recorded):
    assert [episode.label for episode in recorded] == ["skilled", "middling", "random"]
    skilled, _, drifting = (episode.rewards[-20:].mean() for episode in recorded)
    assert skilled > -0.1 > -3 > drifting  # upright costs nothing, hanging about ten a step


def test_recorded_actions_from_a_recorded_state_lead_where_they_led(recorded):
    simulation, episode = Simulation("Pendulum-v1"), recorded[1]
    simulation.restore(episode.simulator[40])
    for step in range(40, 60):
        seen, reward = simulation.step(episode.actions[step])
        assert np.array_equal(seen.astype(np.float32), episode.states[step + 1])
        assert np.float32(reward) == episode.rewards[step]


def test_a_task_of_muj_o_co_is_started_again_alike():
    simulation, (episode,) = Simulation("Reacher-v5"), record("Reacher-v5", 1, 30)
    simulation.restore(episode.simulator[10])
    np.testing.assert_allclose(simulation.step(episode.actions[10])[0], episode.states[11], atol=1e-4)


def test_a_skilled_arm_ends_nearer_to_its_target_than_one_that_drifts():
    skilled, _, drifting = (np.linalg.norm(e.states[-5:, 8:10], axis=1).mean() for e in record("Reacher-v5", 3, 100))
    assert skilled < 0.05 < 0.1 < drifting  # metres


def test_a_known_task_needs_no_file():
    assert "Pendulum-v1" in CONTROLLERS
    source = open_trajectories("Pendulum-v1:episodes=6,steps=20", 10)
    assert source.classes == ("middling", "random", "skilled")
    assert len(source) == 6 * 11


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("Pendulum-v1:length=3", "'length' in .* is unknown; a recording has episodes, steps, seed"),
        ("Pendulum-v1:episodes=x", "episodes='x' is not int"),
        ("Pendulum-v1:episodes=0", "0 episodes of 200 steps record nothing"),
        ("Nothing-v0", "gymnasium knows no task 'Nothing-v0'"),
        ("CartPole-v1", "both must be numbers in a row"),
    ],
)
def test_what_cannot_be_recorded_gets_one_sentence(spec, words):
    with pytest.raises(ValueError, match=words):
        record_named(spec)
