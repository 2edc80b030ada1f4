"""TrajectoryCard: what recordings of control are, measured once and kept with every run that trained on them."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from unmask.core import Batch
from unmask.data.card_json import JsonCard
from unmask.data.card_text import laid_out
from unmask.data.source import Source
from unmask.data.trajectories import PARTS, TrajectorySource
from unmask.data.values import PlainView, whole_of

MOST_ROWS = 12  # of channels and names before the rest is counted


@dataclass(frozen=True)
class TrajectoryCard(JsonCard):
    """Counts of windows and episodes, and statistics of the training episodes alone, in the units of the files.

    count: windows trained on. states: how many of the channels are states; the others are actions. episodes, steps: of
    every part. rewards: mean sum of an episode by part, where they are told. missing: what is no number, by channel, in
    all episodes. short: episodes left out. tasks: names of the simulated tasks.
    """

    origin: str
    fingerprint: str
    count: int
    length: int
    states: int
    splits: dict[str, int]
    episodes: dict[str, int]
    steps: dict[str, int]
    channels: tuple[str, ...]
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...] = ()
    rewards: dict[str, float] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    short: dict[str, str] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()

    @property
    def constant(self) -> tuple[str, ...]:
        """Channels that never change in the training episodes."""
        return tuple(name for name, std in zip(self.channels, self.std, strict=True) if not std > 0)

    @cached_property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        """What is taken off every channel, and what it is divided by: mean and deviation of a state, middle and half
        of the range of an action."""
        rows = torch.tensor([self.mean, self.std, self.minimum, self.maximum], dtype=torch.float64)
        mean, std, low, high = rows
        action = torch.arange(len(self.channels)) >= self.states
        offset = torch.where(action, (low + high) / 2, mean)
        scale = torch.where(action, (high - low) / 2, std)
        return offset.float(), torch.where(scale > 0, scale, 1.0).float()

    def scaled(self, values: Float[Tensor, "*batch c"]) -> Float[Tensor, "*batch c"]:
        """States as (value - mean) / std, actions from -1 to 1 over their range; a constant channel becomes 0."""
        offset, scale = self._statistics
        return (values - offset.to(values)) / scale.to(values)

    def restore(self, values: Float[Tensor, "*batch c"]) -> Float[Tensor, "*batch c"]:
        """Scaled values back in the units of the files."""
        offset, scale = self._statistics
        return values * scale.to(values) + offset.to(values)

    def scaled_states(self, states: Float[Tensor, "*batch s"]) -> Float[Tensor, "*batch s"]:
        offset, scale = (values[: self.states].to(states) for values in self._statistics)
        return (states - offset) / scale

    def scaled_actions(self, actions: Float[Tensor, "*batch a"]) -> Float[Tensor, "*batch a"]:
        offset, scale = (values[self.states :].to(actions) for values in self._statistics)
        return (actions - offset) / scale

    def restored_actions(self, actions: Float[Tensor, "*batch a"]) -> Float[Tensor, "*batch a"]:
        offset, scale = (values[self.states :].to(actions) for values in self._statistics)
        return actions * scale + offset

    def check_uniform(self) -> None:
        """All windows of one source have the same channels and length."""

    def to_text(self, view: Any = None, estimate: str | None = None) -> str:
        """The card for people. view: the training view. estimate: e.g. of the time."""
        actions = len(self.channels) - self.states
        head = [("data", self.origin), ("windows", f"{self.count:,} of {self.length} steps")]
        head += [("numbers", f"{self.states} of a state, {actions} of an action")]
        for i, (name, episodes) in enumerate(self.episodes.items()):
            reward = f", rewards {self.rewards[name]:.4g} an episode" if name in self.rewards else ""
            words = f"{name}: {episodes:,} episodes, {self.steps[name]:,} steps, {self.splits[name]:,} windows{reward}"
            head.append(("parts" if i == 0 else "", words))
        if self.classes:
            head.append(("classes", ", ".join(self.classes[:MOST_ROWS])))
        if self.tasks:
            head.append(("simulated", ", ".join(self.tasks)))
        head.append(("missing", ", ".join(f"{name} {count:,}" for name, count in self.missing.items()) or "none"))
        if self.short:
            few = "; ".join(f"{name} {why}" for name, why in list(self.short.items())[:3])
            head.append(("left out", f"{len(self.short)} short episode(s): {few}"))
        if self.constant:
            head.append(("constant", ", ".join(self.constant)))
        return laid_out(self, head, view, estimate, self._table())

    def _table(self) -> list[str]:
        width = max(7, *(len(name) for name in self.channels))
        lines = [f"{'channel':<{width}} {'minimum':>12} {'maximum':>12} {'mean':>12} {'std':>12}  (training episodes)"]
        rows = list(zip(self.channels, self.minimum, self.maximum, self.mean, self.std, strict=True))
        for part in (rows[: self.states], rows[self.states :]):
            for name, *numbers in part[:MOST_ROWS]:
                lines.append(f"{name:<{width}} " + " ".join(f"{number:>12.6g}" for number in numbers))
            if len(part) > MOST_ROWS:
                lines.append(f"... and {len(part) - MOST_ROWS} more")
        return lines


def inspect_trajectories(source: Source) -> TrajectoryCard:
    """The card of the windows of `source`; its statistics are those of all training episodes."""
    whole = whole_of(source, TrajectorySource)
    tables = [np.concatenate([e.states, e.actions], 1, dtype=np.float64) for e in whole.episodes]
    rows = np.concatenate([table for table, part in zip(tables, whole.parts, strict=True) if part == "train"])
    rows = np.where(np.isfinite(rows), rows, np.nan)
    empty = np.flatnonzero(np.isnan(rows).all(axis=0))
    if len(empty):
        raise ValueError(f"{whole.channels[empty[0]]} of {whole.origin} has no number in its training episodes")
    counts = {name: len(places) for name, places in source.splits().items()}
    parts = {name: whole.episodes_of(name) for name in PARTS if name in counts}
    lost = sum((~np.isfinite(table)).sum(axis=0) for table in tables)
    return TrajectoryCard(
        origin=whole.origin,
        fingerprint=source.fingerprint(),
        count=len(source),
        length=whole.length,
        states=whole.states,
        splits={name: counts[name] for name in parts},
        episodes={name: len(found) for name, found in parts.items()},
        steps={name: sum(map(len, found)) for name, found in parts.items()},
        channels=whole.channels,
        minimum=tuple(np.nanmin(rows, axis=0).tolist()),
        maximum=tuple(np.nanmax(rows, axis=0).tolist()),
        mean=tuple(np.nanmean(rows, axis=0).tolist()),
        std=tuple(np.nanstd(rows, axis=0).tolist()),
        classes=source.classes,
        rewards={
            name: float(np.mean([e.rewards.sum() for e in found if e.rewards is not None]))
            for name, found in parts.items()
            if all(e.rewards is not None for e in found)
        },
        missing={name: int(n) for name, n in zip(whole.channels, np.asarray(lost).tolist(), strict=True) if n},
        short=dict(whole.refused),
        tasks=tuple(sorted({e.task for e in whole.episodes if e.task})),
    )


class TrajectoryView(PlainView):
    """The states and the actions of a window, scaled by the card."""

    def __call__(self, sample: Float32[np.ndarray, "t c"], card: TrajectoryCard, target: None = None) -> Batch:
        rows = card.scaled(torch.from_numpy(sample))
        return {"state": rows[:, : card.states], "action": rows[:, card.states :]}

    def sentences(self, card: TrajectoryCard) -> list[str]:
        """What training does with the windows of this card."""
        return ["states (value - mean) / std, actions from -1 to 1 over their range"]
