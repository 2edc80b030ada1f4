"""The attentive probe: one learned query looks at the frozen tokens, a linear layer names the class."""

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unmask.core import Batch, Method
from unmask.evaluate.features import frozen
from unmask.evaluate.labels import accuracy_of_commonest, gather_labels, labelled, with_label
from unmask.evaluate.lars import ramp
from unmask.evaluate.linear import EPS
from unmask.evaluate.outcome import Outcome, best_block
from unmask.evaluate.tokens import Shuffled, block_tokens

HEADS = 8
MEMORY = 4 << 30  # bytes of stored tokens


class Pooling(nn.Module):
    """Normalised tokens, cross-attention with one learned query, a linear layer.

    Since there is one query, it is carried through the key matrix first and the value matrix is applied to what is
    already pooled: the same numbers as the plain form at a fraction of the work.
    Source: El-Nouby et al. 2024 (AIM), section 3.1; Bardes et al. 2024 (V-JEPA), section 4.
    """

    def __init__(self, width: int, classes: int, generator: torch.Generator | None = None):
        super().__init__()
        self.heads = math.gcd(width, HEADS)
        self.norm = nn.BatchNorm1d(width, affine=False, eps=EPS)
        self.query = nn.Parameter(torch.empty(self.heads, width // self.heads))
        self.key = nn.Parameter(torch.empty(self.heads, width // self.heads, width))
        self.value = nn.Parameter(torch.empty(self.heads, width // self.heads, width))
        self.head = nn.Linear(width, classes)
        nn.init.normal_(self.key, std=width**-0.5, generator=generator)
        nn.init.normal_(self.value, std=width**-0.5, generator=generator)
        nn.init.normal_(self.query, std=0.02, generator=generator)
        nn.init.normal_(self.head.weight, std=0.02, generator=generator)
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b c"]:
        tokens = self.norm(tokens.flatten(0, 1)).unflatten(0, tokens.shape[:2])
        directions = torch.einsum("he,hed->hd", self.query, self.key) * self.query.shape[-1] ** -0.5
        attention = (tokens @ directions.T).softmax(1)
        pooled = torch.einsum("bnh,bnd->bhd", attention, tokens)
        return self.head(torch.einsum("bhd,hed->bhe", pooled, self.value).flatten(1))


class Attentive:
    """Attentive probes at every block and learning rate, trained side by side on the same frozen tokens.

    blocks: counted from 1, None for all. rates: the best on validation is taken for every block.
    memory: bytes of tokens, in half precision, that are stored; beyond it the encoder runs anew in every epoch.
    """

    name = "attentive"

    def __init__(
        self,
        epochs: int = 20,
        rates: Sequence[float] = (1e-3,),
        batch: int = 256,
        weight_decay: float = 0.05,
        blocks: Sequence[int] | None = None,
        memory: int = MEMORY,
        seed: int = 0,
    ):
        self.epochs = epochs
        self.rates = rates
        self.batch = batch
        self.weight_decay = weight_decay
        self.blocks = blocks
        self.memory = memory
        self.seed = seed

    def run(
        self,
        method: Method,
        parts: dict[str, Iterable[Batch]],
        device: torch.device | str = "cpu",
        precision: str | None = None,
    ) -> Outcome:
        """Trains on the "train" part, chooses on "validation", scores once on "test"."""
        method.to(device)
        labels = {part: gather_labels(batches, part) for part, batches in parts.items()}
        labels = {part: found[labelled(found, part)] for part, found in labels.items()}
        classes = 1 + max(int(found.max()) for found in labels.values())
        streams = {part: Frozen(method, batches, device, precision) for part, batches in parts.items()}
        heads = self.train(streams["train"], len(labels["train"]), classes, device)
        right = _accuracies(heads, streams["validation"], device)
        rates = {block: max(self.rates, key=lambda rate: right[block, rate]) for block, _ in heads}
        scores = {block: right[block, rate] for block, rate in rates.items()}
        best = best_block(scores)
        key = (best, rates[best])
        test = _accuracies({key: heads[key]}, streams["test"], device)[key]
        chance = accuracy_of_commonest(labels["train"], labels["test"])
        return Outcome(self.name, "accuracy", scores, best, test, chance=chance, classes=classes)

    def train(
        self, stream: Iterable[Batch], count: int, classes: int, device: torch.device | str
    ) -> dict[tuple[int, float], Pooling]:
        """A trained probe for every block and rate, from `count` samples of tokens."""
        generator = torch.Generator().manual_seed(self.seed)
        batches = Shuffled(stream, self.batch, self.memory, generator)
        heads, solver, step = {}, None, 0
        steps = self.epochs * math.ceil(count / self.batch)
        for _ in range(self.epochs):
            for batch in batches:
                if solver is None:
                    heads = self._heads(batch, classes, device)
                    groups = [{"params": [*head.parameters()], "rate": rate} for (_, rate), head in heads.items()]
                    solver = torch.optim.AdamW(groups, lr=0.0, weight_decay=self.weight_decay)
                for group in solver.param_groups:
                    group["lr"] = group["rate"] * ramp(min(step, steps), steps, steps / 10)
                tokens = {block: batch[f"block {block}"].to(device).float() for block, _ in heads}
                labels = batch["label"].to(device)
                losses = [F.cross_entropy(head(tokens[block]), labels) for (block, _), head in heads.items()]
                solver.zero_grad()
                torch.stack(losses).sum().backward()
                solver.step()
                step += 1
        return {key: head.eval().requires_grad_(False) for key, head in heads.items()}

    def _heads(self, batch: Batch, classes: int, device: torch.device | str) -> dict[tuple[int, float], Pooling]:
        names = [key for key in batch if key.startswith("block ")]
        known = [int(name.removeprefix("block ")) for name in names]
        wrong = set(self.blocks or ()) - set(known)
        if wrong:
            raise ValueError(f"block {min(wrong)} does not exist; this network has the blocks 1 to {max(known)}")
        generator = torch.Generator().manual_seed(self.seed)
        return {
            (block, rate): Pooling(batch[name].shape[-1], classes, generator).to(device)
            for name, block in zip(names, known, strict=True)
            for rate in self.rates
            if self.blocks is None or block in self.blocks
        }


class Frozen:
    """The tokens of labelled samples at every block in half precision, under the names "block 1", "block 2", ..."""

    def __init__(self, method: Method, batches: Iterable[Batch], device, precision: str | None):
        self.method = method
        self.batches = batches
        self.device = device
        self.precision = precision

    def __iter__(self) -> Iterator[Batch]:
        for batch in map(with_label, self.batches):
            with frozen(self.method):
                blocks, _ = block_tokens(self.method, batch, self.device, self.precision)
            named = {f"block {number}": tokens.half().cpu() for number, tokens in enumerate(blocks, 1)}
            yield {**named, "label": batch["label"].cpu()}


def _accuracies(heads: dict, stream: Iterable[Batch], device) -> dict[tuple[int, float], float]:
    right = dict.fromkeys(heads, 0)
    count = 0
    for batch in stream:
        labels = batch["label"].to(device)
        count += len(labels)
        for (block, rate), head in heads.items():
            scores = head(batch[f"block {block}"].to(device).float())
            right[block, rate] += int((scores.argmax(-1) == labels).sum())
    return {key: value / count for key, value in right.items()}
