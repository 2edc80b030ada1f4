"""MAE's linear probe: normalised features, one linear layer, the LARS optimiser."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from unmask.evaluate.knn import accuracy
from unmask.evaluate.linear import EPS
from unmask.parts.ops.schedule import warmup_cosine

TRUST, MOMENTUM = 0.001, 0.9  # released code of MAE, util/lars.py
BATCH = 16384  # He et al. 2022, table 10
RATES = (0.1, 1.0, 10.0)  # the first is the paper's
INITIAL = 0.01  # standard deviation of the head's weights; released code of MAE, main_linprobe.py


class LARS(torch.optim.Optimizer):
    """Momentum, each weight matrix moving by lr * trust of its own length; vectors move by plain momentum.

    Source: You et al. 2017, "Large Batch Training of Convolutional Networks", as in MAE's util/lars.py.
    """

    def __init__(
        self, params, lr: float = 0.0, momentum: float = MOMENTUM, weight_decay: float = 0.0, trust: float = TRUST
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust})

    @torch.no_grad()
    def step(self, closure=None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                update = parameter.grad
                if parameter.ndim > 1:
                    update = update.add(parameter, alpha=group["weight_decay"])
                    size, length = parameter.norm(), update.norm()
                    moves = (size > 0) & (length > 0)
                    update = update * torch.where(moves, group["trust"] * size / length, 1.0)
                state = self.state[parameter]
                state["mean"] = update.clone() if "mean" not in state else state["mean"] * group["momentum"] + update
                parameter.sub_(state["mean"], alpha=group["lr"])


class LinearLARS:
    """The probe of the MAE paper on stored features.

    epochs, warmup, batch: the paper's. rates: per 256 samples, the paper's 0.1 first; few samples make few steps, in
    which 0.1 hardly leaves the start, so higher ones are tried as well and the validation part decides.
    Source: He et al. 2022, appendix A.1, table 10. Differs: features of centre crops, stored, without random crops.
    """

    name = "linear_lars"

    def __init__(
        self,
        epochs: float = 90,
        warmup: float = 10,
        rates: Sequence[float] = RATES,
        batch: int = BATCH,
        seed: int = 0,
    ):
        self.epochs = epochs
        self.warmup = warmup
        self.rates = rates
        self.batch = batch
        self.seed = seed

    def fit(
        self,
        train: Float[Tensor, "n d"],
        labels: Int64[Tensor, "n"],
        validation: Float[Tensor, "m d"],
        validation_labels: Int64[Tensor, "m"],
        classes: int,
    ) -> list[nn.Module]:
        """One function from features to scores of the classes."""
        heads = [self.head(train, labels, classes, rate) for rate in self.rates]
        return [max(heads, key=lambda head: accuracy(head(validation), validation_labels))]

    def head(self, train: Float[Tensor, "n d"], labels: Int64[Tensor, "n"], classes: int, rate: float) -> nn.Module:
        """BatchNorm without affine and a linear layer, trained with the rate; in evaluation mode, without gradients."""
        (n, width), generator = train.shape, torch.Generator().manual_seed(self.seed)
        linear = nn.Linear(width, classes)
        linear.weight.data.normal_(std=INITIAL, generator=generator)
        linear.bias.data.zero_()
        head = nn.Sequential(nn.BatchNorm1d(width, affine=False, eps=EPS), linear).to(train.device)
        batch = min(self.batch, n)
        each = n // batch
        solver = LARS(head.parameters())
        for step in range(round(self.epochs * each)):
            if step % each == 0:
                order = torch.randperm(n, generator=generator).to(train.device)
            rows = order[step % each * batch :][:batch]
            solver.param_groups[0]["lr"] = rate * batch / 256 * warmup_cosine(step / each, self.epochs, self.warmup)
            solver.zero_grad()
            F.cross_entropy(head(train[rows].float()), labels[rows]).backward()
            solver.step()
        return head.eval().requires_grad_(False)
