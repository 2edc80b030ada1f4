"""Fine-tuning a whole network for forecasting: a linear head first, then everything."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unmask.core import Batch, Method, to_device
from unmask.evaluate.features import frozen
from unmask.evaluate.forecasting import errors, flattened, unscaled

DROPOUT = 0.2  # before the head


class Forecaster(nn.Module):
    """A copy of a network with one linear head for all channels: their tokens, flattened, to the rows that follow."""

    def __init__(self, method: Method, batch: Batch):
        super().__init__()
        self.method = copy.deepcopy(method)
        with torch.no_grad(), frozen(self.method):
            width = flattened(self.method.features(batch), batch).shape[-1]
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(width, batch["future"].shape[1]).to(batch["series"].device)

    def forward(self, batch: Batch) -> Float[Tensor, "b h c"]:
        tokens = flattened(self.method.features(batch), batch)
        return unscaled(self.head(self.dropout(tokens)), batch["series"])


@dataclass(frozen=True)
class Tuned:
    """Test scores of the epoch that was best on validation, and the squared error of every epoch there."""

    test: dict[str, float]
    validation: tuple[float, ...]


def tune(
    method: Method,
    batches: Iterable[Batch],
    validation: Iterable[Batch],
    test: Iterable[Batch],
    *,
    steps: int,
    epochs: int = 10,
    head_epochs: int = 5,
    lr: float = 1e-4,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Tuned:
    """Trains a copy of the network with a new head on "future"; the method itself stays as it is.

    batches: those of all epochs one after the other, `steps` of them in each. head_epochs: in which the head alone is
    trained; `epochs` of everything follow, each part under one cycle of the learning rate.
    Source: Nie et al. 2023 (PatchTST), fine_tune of the released code. Differs: it searches the learning rate.
    """
    torch.manual_seed(seed)
    stream = iter(batches)
    first = next(stream, None)
    if first is None:
        raise ValueError("there are no training windows to forecast from; give longer series")
    stream = chain([first], stream)
    network = Forecaster(method.to(device), to_device(first, device))
    best, course, state = float("inf"), [], None
    for count, parameters in ((head_epochs, network.head.parameters()), (epochs, network.parameters())):
        if not count:
            continue
        optimiser = torch.optim.Adam(parameters, lr=lr)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps * count + 1)
        for _ in range(count):
            network.train()
            for batch in islice(stream, steps):
                batch = to_device(batch, device)
                network.zero_grad()
                F.mse_loss(network(batch), batch["future"]).backward()
                optimiser.step()
                schedule.step()
            with frozen(network):
                course.append(errors(network, validation, device).scores["mse"])
            if course[-1] < best:
                best, state = course[-1], copy.deepcopy(network.state_dict())
    if state is None:
        raise ValueError("no epoch gave a validation error that is a number; train at least one, at a lower rate")
    network.load_state_dict(state)
    with frozen(network):
        return Tuned(errors(network, test, device).scores, tuple(course))
