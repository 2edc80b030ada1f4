"""Gradient descent with steps so small that it follows the gradient flow, watched at given times."""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


def flow(
    loss: Callable[[], Float[Tensor, ""]],
    parameters: Sequence[nn.Parameter],
    step: float,
    times: Sequence[float],
) -> Iterator[float]:
    """Moves the parameters down their gradient at rate 1, and stops to be looked at from each of `times` on.

    step: time of one update. Yields the time that has passed. Raises ValueError where the loss is not finite: the step
    is too long for it.
    """
    if not step > 0:
        raise ValueError(f"a step of {step} leads nowhere; give a small time above 0")
    updates = 0
    for time in times:
        while updates * step < time:
            value = loss()
            if not torch.isfinite(value):
                raise ValueError(f"the loss is {value.item()} after {updates} steps of {step}; take shorter ones")
            gradients = torch.autograd.grad(value, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter -= step * gradient
            updates += 1
        yield updates * step
