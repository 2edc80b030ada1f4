"""Optimisers of a phase, with no decay on biases and norms."""

import torch

from unmask.core import Phase
from unmask.train.lamb import Lamb
from unmask.train.plan import Plan

OPTIMISERS = ("adamw", "adam", "sgd", "lamb")


def make_optimiser(phase: Phase, plan: Plan) -> torch.optim.Optimizer:
    """The plan's optimiser over the phase's parameters, those with fewer than two axes without decay."""
    groups = [
        {"params": [p for p in phase.parameters if p.ndim >= 2], "weight_decay": plan.weight_decay},
        {"params": [p for p in phase.parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if plan.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=plan.lr, betas=plan.betas, fused=True)
    if plan.optimizer == "adam":
        return torch.optim.Adam(groups, lr=plan.lr, betas=plan.betas, fused=True)
    if plan.optimizer == "lamb":
        return Lamb(groups, lr=plan.lr, betas=plan.betas)
    if plan.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=plan.lr, momentum=plan.betas[0])
    raise ValueError(f"optimizer {plan.optimizer!r} is unknown; choose one of {', '.join(OPTIMISERS)}")
