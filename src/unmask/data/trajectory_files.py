"""Files of recorded control: episodes of observations and the actions that followed them."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from unmask.data.names import label_of, split_of
from unmask.data.stored import open_stored

SUFFIXES = (".npz",)
OBSERVATIONS, ACTIONS = ("observations", "observation"), ("actions", "action")
ENDS = ("terminals", "timeouts", "dones")  # True at the last step of an episode
LAYOUT = "observations [n s], actions [n a], and ptr, the offsets of the episodes"


@dataclass(frozen=True, eq=False)
class Episode:
    """One time line: the action of a row followed its state.

    rewards: of every action. simulator: its state in every row, to start again from it. task: its name.
    """

    name: str
    states: Float[np.ndarray, "t s"]
    actions: Float[np.ndarray, "t a"]
    rewards: Float[np.ndarray, "t"] | None = None
    simulator: Float[np.ndarray, "t k"] | None = None
    label: str | None = None
    split: str | None = None
    task: str = ""

    def __len__(self) -> int:
        return len(self.states)


def read_episodes(spec: str | Path) -> list[Episode]:
    """All episodes that `spec` names: a .npz file, a folder, a glob, a list or a .tar of them.

    Raises ValueError, with one sentence, for what is no recording.
    """
    source = open_stored(spec, SUFFIXES, "recording")
    episodes = [e for i in range(len(source)) for e in episodes_of(source.items[i].name, source.data(i))]
    first = episodes[0]
    for episode in episodes:
        for what, here, there in (
            ("states", episode.states, first.states),
            ("actions", episode.actions, first.actions),
        ):
            if here.shape[1] != there.shape[1]:
                raise ValueError(
                    f"{episode.name} has {what} of {here.shape[1]} numbers, {first.name} of {there.shape[1]}; give"
                    " recordings of one task"
                )
    return episodes


def episodes_of(name: str, data: bytes) -> Iterator[Episode]:
    """The episodes of one file. Labels and parts are those of its folders, labels also those that it holds itself."""
    found = _arrays(name, data)
    states, actions = (_table(name, found, names) for names in (OBSERVATIONS, ACTIONS))
    if ACTIONS[1] in found and len(states) == len(actions):  # the first action led to the first observation: no such
        states, actions = states[:-1], actions[1:]
        found = {key: value[1:] if key == "reward" else value for key, value in found.items()}
    bounds = _bounds(name, found, len(states), len(actions))
    rewards = found.get("rewards", found.get("reward"))
    simulator, task = found.get("states", found.get("physics")), str(found.get("task", ""))
    labels, folder = _labels(found, len(bounds)), name.rpartition("/")[0]
    digits = len(str(len(bounds)))
    for number, (start, end) in enumerate(bounds):
        rows = slice(start, end)
        yield Episode(
            name if len(bounds) == 1 else f"{name}[{number:0{digits}d}]",
            states[rows],
            actions[rows],
            None if rewards is None else np.asarray(rewards, dtype=np.float32)[rows],
            None if simulator is None else np.asarray(simulator, dtype=np.float64)[rows],
            labels[number] if labels else label_of(folder),
            split_of(folder),
            task,
        )


def _arrays(name: str, data: bytes) -> dict[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            return {key: found[key] for key in found.files}
    except (ValueError, EOFError, OSError, KeyError) as error:
        raise ValueError(f"{name} cannot be read: {str(error).splitlines()[0]}") from None


def _table(name: str, found: Mapping[str, np.ndarray], names: tuple[str, ...]) -> Float[np.ndarray, "t k"]:
    values = next((found[key] for key in names if key in found), None)
    if values is None:
        held = ", ".join(f"{key} {list(value.shape)}" for key, value in found.items()) or "nothing"
        raise ValueError(f"{name} holds {held} but no {names[0]}; a recording has {LAYOUT}")
    if values.ndim not in (1, 2) or values.dtype.kind not in "fiu" or not values.size:
        raise ValueError(f"{names[0]} of {name} are {list(values.shape)} {values.dtype}; a recording has {LAYOUT}")
    values = (values[:, None] if values.ndim == 1 else values).astype(np.float32)
    if not np.isfinite(values).any():
        raise ValueError(f"{names[0]} of {name} hold no number at all; states and actions are both needed")
    return values


def _bounds(name: str, found: Mapping[str, np.ndarray], states: int, actions: int) -> list[tuple[int, int]]:
    """First row and end of every episode."""
    if "ptr" in found:
        ends = found["ptr"].astype(np.int64).tolist()
        if len(ends) < 2 or ends[0] != 0 or ends[-1] != states or any(a >= b for a, b in pairwise(ends)):
            raise ValueError(f"ptr of {name} must rise from 0 to its {states} rows; it is {ends[:3]} ... {ends[-1:]}")
    else:
        last: Bool[np.ndarray, "t"] = np.zeros(actions, dtype=bool)
        for key in ENDS:
            last |= np.asarray(found.get(key, last)).astype(bool).reshape(-1)[:actions]
        ends = sorted({0, *(int(place) + 1 for place in np.flatnonzero(last)), actions})
    if actions != states and not ("ptr" not in found and len(ends) == 2 and states == actions + 1):
        raise ValueError(
            f"{name} has {states} observations but {actions} actions; every state needs the action after it"
        )
    return list(pairwise(ends))


def _labels(found: Mapping[str, Any], episodes: int) -> list[str] | None:
    """The class of every episode, where the file holds numbers `y` and names."""
    if "y" not in found or len(found["y"]) != episodes:
        return None
    names = [str(name) for name in found.get("class_names", ())]
    return [names[int(y)] if int(y) < len(names) else str(int(y)) for y in found["y"]]
