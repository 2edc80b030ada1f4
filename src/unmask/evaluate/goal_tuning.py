"""Training a network to act towards goals by what was recorded: goal-conditioned cloning."""

from collections.abc import Iterable
from typing import Any

import torch

from unmask.core import to_device
from unmask.parts.ops.schedule import warmup_cosine

WARMUP = 0.05  # share of the steps
CLIP = 1.0  # largest norm of the gradient


def tune_to_goals(
    method: Any,
    batches: Iterable[dict[str, torch.Tensor]],
    *,
    steps: int,
    lr: float,
    what: str | None = "decoder",
    remember: bool = False,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> list[float]:
    """Trains the method in place and returns the loss of every step.

    A start and a later goal are drawn for every batch, as the reference's cloning does. remember: all steps of the
    window up to the start are seen and the next action is learned; else the start alone is seen, and all actions up to
    the goal are learned. what: part that the method says is `tunable`; None trains everything.
    """
    dice = torch.Generator().manual_seed(seed)
    chosen = list(method.parameters()) if what is None else method.tunable(what)
    optimiser = torch.optim.AdamW(chosen, lr=lr, weight_decay=0.0)
    method.to(device).train()
    losses = []
    for step, batch in zip(range(steps), batches, strict=False):
        for group in optimiser.param_groups:
            group["lr"] = lr * warmup_cosine(step, steps, WARMUP * steps)
        batch = to_device(batch, device)
        state, action = batch["state"], batch["action"]
        now = int(torch.randint(state.shape[1] - 1, (), generator=dice))
        goal = int(torch.randint(now + 1, state.shape[1], (), generator=dice))
        first, last = (0, now + 1) if remember else (now, goal)
        plan = method.plan(state[:, first : now + 1], action[:, first:now], state[:, goal : goal + 1], [goal - now])
        loss = (plan[:, : last - now] - action[:, now:last]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(chosen, CLIP)
        optimiser.step()
        losses.append(float(loss.detach()))
    method.eval()
    return losses
