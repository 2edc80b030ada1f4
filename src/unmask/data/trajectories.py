"""Recorded control as windows: every sample is a run of consecutive steps of one episode.

Parts are whole episodes, so that no step of a test episode is ever trained on: those that folders name, else shares.
"""

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from unmask.data.picture import Unreadable
from unmask.data.recording import CONTROLLERS, record_named
from unmask.data.source import Item, Listing
from unmask.data.trajectory_files import Episode, read_episodes
from unmask.data.values import ValueSource

PARTS = ("train", "validation", "test")
SHARES = {"test": 0.2, "validation": 0.1}  # of the episodes; at least one of each
FEWEST = 3  # episodes that can be divided into parts


class TrajectorySource(ValueSource):
    """Windows of `length` steps at every place of every episode. A sample comes as states and actions side by side.

    Episodes that are shorter are left out and named in `refused`.
    """

    noun = "windows"

    def __init__(self, origin: str, episodes: Sequence[Episode], length: int):
        if length < 2:
            raise ValueError(f"windows of {length} steps are too short; give at least 2")
        self.length = length
        short = {e.name: f"has {len(e)} steps, fewer than {length}" for e in episodes if len(e) < length}
        self.episodes = tuple(e for e in episodes if len(e) >= length)
        if not self.episodes:
            longest = max(len(episode) for episode in episodes)
            raise ValueError(
                f"no episode of {origin} has {length} steps, the longest has {longest}; set length={longest}"
            )
        self.parts = parts_of(self.episodes)
        self.states, self.actions = self.episodes[0].states.shape[1], self.episodes[0].actions.shape[1]
        self.channels = tuple(
            f"{kind}_{i}" for kind, n in (("state", self.states), ("action", self.actions)) for i in range(n)
        )
        items: list[Item] = []
        places: list[tuple[int, int]] = []  # episode and first step
        size = length * len(self.channels) * np.dtype(np.float32).itemsize
        for number, episode in enumerate(self.episodes):
            digits = len(str(len(episode)))
            for first in range(len(episode) - length + 1):
                name = f"{episode.name}+{first:0{digits}d}"
                items.append(Item(name, episode.label, self.parts[number], size))
                places.append((number, first))
        super().__init__(origin, Listing(items), refused=short)
        self._places = np.array(places)

    def read(self, i: int) -> Float32[np.ndarray, "t c"]:
        """States, then actions of one window; raises Unreadable where a number is missing."""
        number, first = self.place(i)
        episode, rows = self.episodes[number], slice(first, first + self.length)
        found = np.concatenate([episode.states[rows], episode.actions[rows]], 1)
        lost = np.argwhere(~np.isfinite(found))
        if len(lost):
            step, channel = lost[0]
            raise Unreadable(
                f"lacks {len(lost)} number(s), the first in step {first + step} of {self.channels[channel]}"
            )
        return found

    def place(self, i: int) -> tuple[int, int]:
        """Episode and first step of a window."""
        number, first = self._places[i]
        return int(number), int(first)

    def episodes_of(self, part: str) -> list[Episode]:
        """The whole episodes of one part."""
        return [episode for episode, name in zip(self.episodes, self.parts, strict=True) if name == part]

    def fingerprint(self) -> str:
        """Of the values themselves, the names and the windows."""
        digest = hashlib.sha256(f"{self.length} {self.parts}\n".encode())
        for episode in self.episodes:
            digest.update(f"{episode.name} {episode.states.shape} {episode.actions.shape}\n".encode())
            for values in (episode.states, episode.actions):
                digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


def parts_of(episodes: Sequence[Episode]) -> tuple[str, ...]:
    """The part of every episode: that of its folder, else a fixed random choice; all are training where few are."""
    if any(episode.split for episode in episodes):
        return tuple(episode.split or "train" for episode in episodes)
    parts = dict.fromkeys(range(len(episodes)), "train")
    if len(episodes) >= FEWEST:
        order = sorted(parts, key=lambda i: random.Random(episodes[i].name).random())
        for name, share in SHARES.items():
            count = max(1, round(share * len(episodes)))
            parts |= dict.fromkeys(order[:count], name)
            order = order[count:]
    return tuple(parts.values())


def open_trajectories(spec: str | Path, length: int) -> TrajectorySource:
    """The windows of the recordings that `spec` names: files (see `read_episodes`), or a simulated task by name."""
    named = str(spec).partition(":")[0] in CONTROLLERS and not Path(spec).exists()
    return TrajectorySource(str(spec), record_named(str(spec)) if named else read_episodes(spec), length)
