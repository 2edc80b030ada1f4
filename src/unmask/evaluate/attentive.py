"""The attentive probe: one learned query looks at the frozen tokens, a linear layer names the class."""

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Batch, Method
from unmask.evaluate.features import frozen
from unmask.evaluate.labels import accuracy_of_commonest, gather_labels, labelled, with_label
from unmask.evaluate.linear import EPS
from unmask.evaluate.outcome import Outcome, best_block
from unmask.evaluate.tokens import Shuffled, block_tokens
from unmask.parts.ops.schedule import warmup_cosine

HEADS = 8
UPDATES = 500  # on 767 photographs 30 updates reach 18 %, 500 reach 27 %
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

    def forward(
        self, tokens: Float[Tensor, "b n d"], places: Bool[Tensor, "b n"] | None = None
    ) -> Float[Tensor, "b c"]:
        """places: False where a token stands for padding, which is not looked at."""
        tokens = self.norm(tokens.flatten(0, 1)).unflatten(0, tokens.shape[:2])
        directions = torch.einsum("he,hed->hd", self.query, self.key) * self.query.shape[-1] ** -0.5
        scores = tokens @ directions.T
        if places is not None:
            scores = scores.masked_fill(~places.unsqueeze(-1), torch.finfo(scores.dtype).min)
        attention = scores.softmax(1)
        pooled = torch.einsum("bnh,bnd->bhd", attention, tokens)
        return self.head(torch.einsum("bhd,hed->bhe", pooled, self.value).flatten(1))


class Attentive:
    """Attentive probes at every block and learning rate, trained side by side on the same frozen tokens.

    blocks: counted from 1, None for all. rates: the best on validation is taken for every block.
    updates: at least so many, in more epochs where the data are few.
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
        updates: int = UPDATES,
        seed: int = 0,
    ):
        self.epochs = epochs
        self.rates = rates
        self.batch = batch
        self.weight_decay = weight_decay
        self.blocks = blocks
        self.memory = memory
        self.updates = updates
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
        each = math.ceil(count / self.batch)
        epochs = max(self.epochs, math.ceil(self.updates / each))
        steps = epochs * each
        for _ in range(epochs):
            for batch in batches:
                if solver is None:
                    heads = self._heads(batch, classes, device)
                    groups = [{"params": [*head.parameters()], "rate": rate} for (_, rate), head in heads.items()]
                    solver = torch.optim.AdamW(groups, lr=0.0, weight_decay=self.weight_decay)
                for group in solver.param_groups:
                    group["lr"] = group["rate"] * warmup_cosine(min(step, steps), steps, steps / 10)
                tokens = {block: batch[f"block {block}"].to(device).float() for block, _ in heads}
                labels, places = batch["label"].to(device), batch["places"].to(device)
                losses = [F.cross_entropy(head(tokens[block], places), labels) for (block, _), head in heads.items()]
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
                blocks, grid = block_tokens(self.method, batch, self.device, self.precision)
            named = {f"block {number}": tokens.half().cpu() for number, tokens in enumerate(blocks, 1)}
            yield {**named, "label": batch["label"].cpu(), "places": _places(batch, blocks[-1], grid)}


def _places(batch: Batch, tokens: Tensor, grid: tuple[int, ...]) -> Bool[Tensor, "b n"]:
    """Which tokens stand for anything real."""
    if "image_valid" not in batch or len(grid) != 2:
        return torch.ones(tokens.shape[:2], dtype=torch.bool)
    return F.adaptive_max_pool2d(batch["image_valid"].cpu().float().unsqueeze(1), grid).flatten(1).bool()


def _accuracies(heads: dict, stream: Iterable[Batch], device) -> dict[tuple[int, float], float]:
    right = dict.fromkeys(heads, 0)
    count = 0
    for batch in stream:
        labels = batch["label"].to(device)
        count += len(labels)
        for (block, rate), head in heads.items():
            scores = head(batch[f"block {block}"].to(device).float(), batch["places"].to(device))
            right[block, rate] += int((scores.argmax(-1) == labels).sum())
    return {key: value / count for key, value in right.items()}
