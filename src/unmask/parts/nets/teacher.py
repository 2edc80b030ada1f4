"""A slowly moving copy of a network, which is never trained."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn

T = TypeVar("T")


class Teacher(nn.Module):
    """The exponential moving average of a network's weights; buffers are copied as they are.

    Called like the network, always without gradient and as in evaluation. `follow` moves it after a step.
    Source: Tarvainen and Valpola 2017 (mean teacher); He et al. 2020 (MoCo).
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self._answers: list[tuple[object, Any]] | None = None

    def train(self, mode: bool = True) -> "Teacher":
        """A teacher is never in training mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, *args, **kwargs):
        return self.network(*args, **kwargs)

    @torch.no_grad()
    def follow(self, network: nn.Module, decay: float) -> None:
        """weights <- decay * weights + (1 - decay) * those of `network`.

        Raises ValueError for a decay outside [0, 1].
        """
        if not 0 <= decay <= 1:
            raise ValueError(f"decay {decay} is not a share of the old weights; choose a number in [0, 1]")
        ours = dict(self.network.named_parameters())
        for name, parameter in network.named_parameters():
            ours[name].lerp_(parameter.detach(), 1 - decay)
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)

    @contextmanager
    def asked_once(self) -> Iterator[None]:
        """Within it, what `answer` has found of a thing is remembered."""
        self._answers = []
        try:
            yield
        finally:
            self._answers = None

    def answer(self, thing: object, find: Callable[[], T]) -> T:
        """What `find` finds of the thing, such as a batch: not anew if it is remembered of the very same one."""
        for known, answer in self._answers or ():
            if known is thing:
                return answer
        answer = find()
        if self._answers is not None:
            self._answers.append((thing, answer))
        return answer
