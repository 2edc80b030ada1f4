"""Method: a published system as a module that knows nothing of the training loop."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor, nn

from unmask.core.batch import Batch
from unmask.core.context import Context
from unmask.core.mask import Mask


@dataclass(frozen=True)
class Features:
    """What an encoder says of a batch.

    pooled: one vector per sample.
    tokens: one vector per place of the last block, without class tokens, or None where there are no places.
    grid: how the places are laid out, () where they are not on a grid.
    blocks: one vector per sample after every block, the last being `pooled`; () if the network has none.
    """

    pooled: Float[Tensor, "b d"]
    tokens: Float[Tensor, "b n k"] | None = None
    grid: tuple[int, ...] = ()
    blocks: tuple[Tensor, ...] = field(default=())


@dataclass(frozen=True, eq=False)
class Phase:
    """One update within a step: a name, the parameters that it changes, and its share of the learning rate."""

    name: str
    parameters: tuple[nn.Parameter, ...]
    rate: float = 1.0


class Method(nn.Module):
    """Base of every system: `losses` to train it, `features` to use it.

    labelled: whether batches of a training hold the class of every sample, where there are classes.
    """

    labelled = False

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        """The weighted terms whose sum is minimised. A given mask replaces the sampler's."""
        raise NotImplementedError(f"{type(self).__name__} must define losses(batch, context, mask)")

    def features(self, batch: Batch) -> Features:
        """Representations of the batch. Never masks; equal for every batch size."""
        raise NotImplementedError(f"{type(self).__name__} must define features(batch)")

    def phases(self) -> Iterable[Phase]:
        """The updates of one step, in order. Default: one phase with every trainable parameter."""
        return [Phase("main", tuple(p for p in self.parameters() if p.requires_grad))]

    def begin(self, batches: Iterable[Batch]) -> None:
        """Called once before a training with batches of its samples, the same on all processes: for what starts from
        data. To look at them costs time; the default does not."""

    def remarks(self, steps: int) -> list[str]:
        """Sentences for whoever begins a training of so many steps, where a setting does not suit that many."""
        return []

    def after_step(self, context: Context) -> None:
        """Called once after the optimisers of a step: moving averages, queues, restarts."""

    def forward(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        return self.losses(batch, context, mask)
