"""LAMB: Adam whose step on every tensor is as long as the tensor itself, so that very large batches train well."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class Lamb(torch.optim.Optimizer):
    """Adam's direction plus decay, scaled to the norm of what it changes; without decay it is Adam, unscaled.

    Source: You et al. 2020, "Large Batch Optimization for Deep Learning", algorithm 2, with bias correction.
    Reference: huggingface/pytorch-image-models, timm/optim/lamb.py (Apache-2.0), whose default is this exception for
    tensors without decay. Differs: gradients are not clipped here; the training does it.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
    ):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(self._change(parameter, group))
        return loss

    def _change(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] += 1
        count, (first, second) = float(state["step"]), group["betas"]
        mean = state["exp_avg"].lerp_(parameter.grad, 1 - first) / (1 - first**count)
        square = state["exp_avg_sq"].mul_(second).addcmul_(parameter.grad, parameter.grad, value=1 - second)
        change = mean / (square.sqrt() / (1 - second**count) ** 0.5 + group["eps"])
        if not group["weight_decay"]:
            return change * group["lr"]
        change.add_(parameter, alpha=group["weight_decay"])
        own, length = parameter.norm(), change.norm()
        return change * torch.where((own > 0) & (length > 0), own / length, 1.0) * group["lr"]
