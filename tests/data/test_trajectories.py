"""Recorded control: files, episodes, parts, what is refused, and the card."""

import tarfile

import numpy as np
import pytest
import torch

from small_trajectories import episode, make_recording
from unmask.core import check_batch
from unmask.data.evaluation import evaluation_batches
from unmask.data.picture import Unreadable
from unmask.data.recording import save
from unmask.data.source import Source
from unmask.data.trajectories import TrajectorySource, open_trajectories, parts_of
from unmask.data.trajectory_card import TrajectoryCard, TrajectoryView, inspect_trajectories
from unmask.data.trajectory_files import read_episodes
from unmask.data.values import whole_of

STATES, ACTIONS = np.arange(40, dtype=np.float32).reshape(20, 2), np.linspace(-2, 4, 20, dtype=np.float32)[:, None]


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_offsets_say_where_episodes_begin(tmp_path):
    path = write(tmp_path / "a.npz", observations=STATES, actions=ACTIONS, rewards=np.ones(20), ptr=[0, 12, 20])
    first, second = read_episodes(path)
    assert (first.name, second.name) == ("a.npz[0]", "a.npz[1]")
    assert (len(first), second.states[0].tolist(), second.actions[0].tolist()) == (12, [24, 25], ACTIONS[12].tolist())
    assert second.rewards.sum() == 8


def test_episodes_also_end_where_flags_say(tmp_path):
    ends = np.zeros(20, dtype=bool)
    ends[[4, 9]] = True
    path = write(tmp_path / "a.npz", observations=STATES, actions=ACTIONS, terminals=ends[:20] & (np.arange(20) < 5),
                 timeouts=ends & (np.arange(20) > 5))  # fmt: skip
    assert [len(e) for e in read_episodes(path)] == [5, 5, 10]


def test_one_observation_more_than_actions_is_where_the_last_action_led(tmp_path):
    (found,) = read_episodes(write(tmp_path / "a.npz", observations=STATES, actions=ACTIONS[:-1]))
    assert (found.name, len(found)) == ("a.npz", 20) or len(found.actions) == 19
    assert len(found.states) == len(found.actions) == 19


def test_an_episode_of_the_reference_begins_with_an_action_that_nothing_followed(tmp_path):
    (found,) = read_episodes(write(tmp_path / "a.npz", observation=STATES, action=ACTIONS, reward=np.arange(20.0)))
    assert (found.states[0].tolist(), found.actions[0].tolist(), found.rewards[0]) == ([0, 1], ACTIONS[1].tolist(), 1)
    assert len(found.states) == len(found.actions) == len(found.rewards) == 19


def test_what_is_saved_is_read_back_with_classes_and_simulator(tmp_path):
    kept = [episode(i, label=label, simulator=np.ones((30, 4)) * i, task="T") for i, label in enumerate("ba")]
    save(kept, tmp_path / "a.npz")
    for one, other in zip(kept, read_episodes(tmp_path / "a.npz"), strict=True):
        assert np.array_equal(one.states, other.states)
        assert np.array_equal(one.simulator, other.simulator)
        assert (other.label, other.task) == (one.label, "T")


def test_folders_and_archives_give_parts_and_classes(tmp_path):
    for part, name in (("train", "a"), ("train", "b"), ("test", "a")):
        (tmp_path / "set" / part / name).mkdir(parents=True)
        save([episode(1, name="x")], tmp_path / "set" / part / name / "x.npz")
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        tar.add(tmp_path / "set", "set")
    for place in (tmp_path / "set", tmp_path / "set.tar"):
        source = open_trajectories(place, 10)
        assert source.classes == ("a", "b")
        assert {part: len(rows) for part, rows in source.splits().items()} == {"test": 21, "train": 42}


def test_parts_are_whole_episodes_and_do_not_depend_on_their_order():
    episodes = [episode(i) for i in range(10)]
    parts = dict(zip((e.name for e in episodes), parts_of(episodes), strict=True))
    assert sorted(parts.values()) == ["test"] * 2 + ["train"] * 7 + ["validation"]
    backwards = episodes[::-1]
    assert dict(zip((e.name for e in backwards), parts_of(backwards), strict=True)) == parts
    assert parts_of(episodes[:2]) == ("train", "train")
    assert sorted(parts_of(episodes[:3])) == ["test", "train", "validation"]


def test_a_window_is_a_run_of_steps_of_one_episode():
    source = TrajectorySource("x", [episode(0), episode(1), episode(2, steps=5)], 10)
    assert len(source) == 2 * 21
    assert source.items[25].name == "e[1]+04"
    assert np.array_equal(source.read(25)[:, 3:], episode(1).actions[4:14])
    assert source.refused == {"e[2]": "has 5 steps, fewer than 10"}


def test_windows_without_an_action_are_refused_by_name():
    source = TrajectorySource("x", [episode(0, missing=(12, 1))], 10)
    source.read(0)
    with pytest.raises(Unreadable, match="lacks 1 number\\(s\\), the first in step 12 of action_1"):
        source.read(3)
    assert inspect_trajectories(source).missing == {"action_1": 1}


def test_states_are_standardised_and_actions_span_minus_1_to_1_in_training():
    source = TrajectorySource("x", [episode(i) for i in range(5)], 10)
    card = inspect_trajectories(source)
    (batch,) = evaluation_batches(source, card, TrajectoryView(), 200)
    check_batch({key: value for key, value in batch.items() if key != "label"})
    train = source.splits()["train"]
    rows = torch.cat([torch.from_numpy(source.episodes[i].states) for i, p in enumerate(source.parts) if p == "train"])
    scaled = card.scaled_states(rows)
    torch.testing.assert_close(scaled.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled.std(0, unbiased=False), torch.ones(3), atol=1e-5, rtol=0)
    assert batch["action"][train].amax((0, 1)).tolist() == pytest.approx([1, 1], abs=1e-5)
    assert batch["action"][train].amin((0, 1)).tolist() == pytest.approx([-1, -1], abs=1e-5)


def test_the_card_scales_parts_as_the_whole_and_puts_actions_back():
    card = inspect_trajectories(TrajectorySource("x", [episode(i) for i in range(5)], 10))
    values = torch.from_numpy(np.concatenate([episode(7).states, episode(7).actions], 1))
    scaled = card.scaled(values)
    assert torch.equal(scaled[:, :3], card.scaled_states(values[:, :3]))
    assert torch.equal(scaled[:, 3:], card.scaled_actions(values[:, 3:]))
    torch.testing.assert_close(card.restored_actions(scaled[:, 3:]), values[:, 3:])
    torch.testing.assert_close(card.restore(scaled), values)


def test_a_card_says_what_it_knows_and_comes_back_from_json():
    source = TrajectorySource("x", [episode(i, task="T") for i in range(10)] + [episode(11, steps=4)], 10)
    card = inspect_trajectories(source)
    assert TrajectoryCard.from_json(card.to_json()) == card
    text = card.to_text(TrajectoryView())
    for words in ("3 of a state, 2 of an action", "test: 2 episodes, 60 steps, 42 windows, rewards 435", "T",
                  "1 short episode(s): e[11] has 4 steps", "action_1"):  # fmt: skip
        assert words in text
    part = source.subset(source.splits()["train"])
    assert inspect_trajectories(part).mean == card.mean
    assert inspect_trajectories(part).count == 7 * 21


def test_changed_values_change_the_fingerprint_also_of_a_part():
    one = TrajectorySource("x", [episode(0), episode(1)], 10)
    other = TrajectorySource("x", [episode(0), episode(1, missing=(29, 0))], 10)
    assert one.subset([0]).fingerprint() != other.subset([0]).fingerprint()
    assert one.fingerprint() == TrajectorySource("x", [episode(0), episode(1)], 10).fingerprint()


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"observations": STATES}, r"holds observations \[20, 2\] but no actions; a recording has observations"),
        ({"actions": ACTIONS}, "but no observations"),
        ({"observations": STATES, "actions": ACTIONS[:9]}, "20 observations but 9 actions; every state needs"),
        ({"observations": STATES, "actions": ACTIONS * np.nan}, "actions of .* hold no number at all"),
        ({"observations": STATES, "actions": ACTIONS.astype(str)}, "actions of .* are .20, 1. <U"),
        ({"observations": STATES, "actions": ACTIONS, "ptr": [0, 25]}, "ptr of .* must rise from 0 to its 20 rows"),
    ],
)
def test_files_that_are_no_recordings_get_one_sentence(tmp_path, arrays, words):
    with pytest.raises(ValueError, match=words):
        read_episodes(write(tmp_path / "bad.npz", **arrays))


def test_other_mistakes_get_one_sentence(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"text\.npz cannot be read"):
        read_episodes(tmp_path / "text.npz")
    with pytest.raises(ValueError, match=r"no episode of .* has 50 steps, the longest has 30; set length=30"):
        open_trajectories(make_recording(tmp_path / "a.npz"), 50)
    write(tmp_path / "set_b.npz", observations=STATES, actions=ACTIONS)
    with pytest.raises(ValueError, match=r"set_b\.npz has states of 2 numbers, a\.npz\[00\] of 3"):
        read_episodes(f"{tmp_path}/*[ab].npz")
    with pytest.raises(TypeError, match="pictures, not windows"):
        whole_of(Source("somewhere", []), TrajectorySource)
