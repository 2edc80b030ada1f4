"""How well recorded actions are predicted from where they led, without a simulator."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.core import Batch, to_device
from unmask.evaluate.features import frozen

ONE, MANY, NONE, MEAN = "one goal", "goals on the way", "no goal", "the mean action"


def goal_errors(
    method: Any, train: Iterable[Batch], test: Iterable[Batch], ahead: Sequence[int], device: torch.device | str = "cpu"
) -> dict[str, float]:
    """Mean squared error of the actions up to ahead[-1] steps on, as batches scale them, from the first state alone.

    Known besides: one goal (the last), all of them, or none; and beside them the mean action of the training windows.
    """
    total, count = torch.zeros(()), 0
    for batch in train:
        total = total + batch["action"].double().sum((0, 1))
        count += batch["action"].shape[0] * batch["action"].shape[1]
    if not count:
        raise ValueError("there are no training windows to take a mean action from; give more episodes")
    mean = (total / count).float().to(device)
    last, method = ahead[-1], method.to(device)
    plans: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        ONE: lambda state, done: method.plan(state[:, :1], done, state[:, [last]], [last]),
        MANY: lambda state, done: method.plan(state[:, :1], done, state[:, list(ahead)], list(ahead)),
        NONE: lambda state, done: method.plan(state[:, :1], done, None, [last]),
        MEAN: lambda state, done: mean.expand(len(state), last, -1),
    }
    sums, numbers = dict.fromkeys(plans, 0.0), 0
    with torch.no_grad(), frozen(method):
        for batch in test:
            batch = to_device(batch, device)
            state, action = batch["state"], batch["action"]
            if state.shape[1] <= last:
                raise ValueError(f"windows of {state.shape[1]} steps hold no goal {last} ahead; set less ahead")
            numbers += action[:, :last].numel()
            for name, plan in plans.items():
                sums[name] += _squares(plan(state, action[:, :0]).float(), action[:, :last])
    if not numbers:
        raise ValueError("there are no test windows to predict the actions of; give more episodes")
    return {name: value / numbers for name, value in sums.items()}


def _squares(prediction: Float[Tensor, "b p a"], wanted: Float[Tensor, "b p a"]) -> float:
    return float((prediction - wanted).square().double().sum())
