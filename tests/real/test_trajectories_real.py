"""Recorded control on the real demonstrations of a hand that opens a door: episodes, parts, trained, measured."""

import json

import numpy as np
import pytest

from small_run import unmask, without_drawing  # noqa: F401
from small_trajectories import SIZES
from unmask.data.trajectories import open_trajectories
from unmask.data.trajectory_card import inspect_trajectories

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def doors(data_folder):
    return data_folder / "rl_adroit_door_demos.npz"


def test_all_episodes_are_there_and_none_is_in_two_parts(doors):
    source = open_trajectories(doors, 32)
    card = inspect_trajectories(source)
    assert (card.states, len(card.channels), card.missing, card.constant, card.short) == (39, 67, {}, (), {})
    assert card.episodes == {"train": 18, "validation": 2, "test": 5}
    assert sum(card.steps.values()) == 6729
    assert len(source) == 6729 - 25 * 31


def test_training_states_have_mean_0_and_deviation_1_and_actions_span_their_range(doors):
    source = open_trajectories(doors, 32)
    card = inspect_trajectories(source)
    train = source.episodes_of("train")
    states, actions = (np.concatenate([getattr(e, name) for e in train]) for name in ("states", "actions"))
    scaled = (states.astype(np.float64) - np.array(card.mean[:39])) / np.array(card.std[:39])
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(scaled.std(0), 1, atol=1e-9)
    assert np.array_equal(actions.min(0), np.float32(card.minimum[39:]))


@pytest.mark.slow
@pytest.mark.works("maskdp")
@pytest.mark.usefixtures("without_drawing")
def test_a_short_run_predicts_actions_better_than_their_mean(doors, tmp_path, capsys):
    sizes = [w for name, value in {**SIZES, "length": 20, "width": 32}.items() for w in ("--set", f"{name}={value}")]
    options = [*sizes, "--steps", 150, "--batch", 32, "--lr", 0.02, "--monitor-every", 150, "--quiet"]
    assert unmask("pretrain", doors, "--method", "maskdp", "--out", tmp_path / "run", *options) == 0
    capsys.readouterr()
    assert unmask("evaluate", tmp_path / "run", "--limit", 200, "--set", "ahead=16", "--json") == 0
    found = json.loads(capsys.readouterr().out)["measures"]["goals"]["mse"]
    assert found["one goal"] < 0.9 * found["the mean action"]
