"""Fine-tuning of a whole encoder: layer-wise learning rates, drop path, mixing, erasing, smoothing."""

import copy
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from unmask.core import Batch, Method, to_device
from unmask.evaluate.features import automatic, frozen, represent
from unmask.evaluate.heads import TASKS, Task
from unmask.evaluate.labels import gather_labels, with_label
from unmask.evaluate.layer_decay import parameter_groups
from unmask.evaluate.mixing import Mixing
from unmask.evaluate.outcome import Outcome
from unmask.evaluate.tokens import Shuffled, trunk_blocks
from unmask.parts.ops.schedule import warmup_cosine

HEAD = 2e-5  # standard deviation of the head's first weights; released code of MAE
MEMORY = 2 << 30  # bytes of pictures
CLASSES_IN_A_ROW = 8  # so many batches of one class each are no accident


class Classifier(nn.Module):
    """A method's pooled features and a linear head. In evaluation mode it gives answers, in training scores.

    task: what the head says; answers are probabilities, or numbers in their own unit.
    """

    def __init__(self, method: Method, task: Task, width: int):
        super().__init__()
        self.method = method
        self.task = task
        self.head = nn.Linear(width, task.outputs)
        nn.init.trunc_normal_(self.head.weight, std=HEAD)
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: Batch) -> Float[Tensor, "b k"]:
        scores = self.head(self.method.features(batch).pooled.float()).float()
        return scores if self.training else self.task.read(scores)


@dataclass(frozen=True, eq=False)
class FineTuned:
    """A fine-tuned classifier in evaluation mode and what it scores: `metric` on the test part, used once.

    validation: (update, score) along the way. losses: of every update.
    """

    classifier: Classifier
    metric: str
    test: float | None
    validation: tuple[tuple[int, float], ...]
    losses: tuple[float, ...]


def set_drop_path(encoder: nn.Module, rate: float) -> None:
    """Drops whole residual branches at random, from never in the first block to `rate` in the last.

    Source: Huang et al. 2016, "Deep Networks with Stochastic Depth".
    """
    blocks = getattr(getattr(encoder, "trunk", None), "blocks", ())
    if rate and not all(hasattr(block, "drop") for block in blocks):
        raise ValueError(f"the blocks of {type(encoder).__name__} have no `drop`; fine-tune with drop_path=0")
    for block, share in zip(blocks, torch.linspace(0, rate, len(blocks)).tolist(), strict=True):
        if hasattr(block, "drop"):
            block.drop = StochasticDepth(share, "row") if share else nn.Identity()


def finetune(
    method: Method,
    train: Iterable[Batch],
    validation: Iterable[Batch] | None = None,
    test: Iterable[Batch] | None = None,
    *,
    steps: int,
    task: str = "classes",
    labels: Tensor | None = None,
    lr: float = 5e-4,
    layer_decay: float = 0.65,
    weight_decay: float = 0.05,
    betas: tuple[float, float] = (0.9, 0.999),
    drop_path: float = 0.1,
    warmup: float = 0.05,
    smoothing: float = 0.1,
    mixing: Mixing | None = None,
    clip: float | None = None,
    accumulation: int = 1,
    checks: int = 10,
    seed: int = 0,
    device: torch.device | str = "cpu",
    precision: str | None = None,
) -> FineTuned:
    """Trains a copy of the method's encoder with a new head and scores it once on the test part.

    train: batches in random order, read again from the start when they end; augmented by whoever makes them.
    steps: updates, each of `accumulation` batches. lr: per 256 samples of an update. warmup: share of the steps.
    labels: all training labels; without them `train` is read once more. checks: how often validation is scored.
    mixing: `Mixing()` by default, and for task="regression" erasing alone, since a mixture has no known number.
    Source: He et al. 2022 (MAE), table 9. Differs: no RandAugment; the encoder's own final norm, before the mean.
    """
    if task not in TASKS:
        raise ValueError(f"task {task!r} is unknown; choose one of {', '.join(TASKS)}")
    if min(steps, accumulation) < 1:
        raise ValueError(f"{steps} steps of {accumulation} batches train nothing; choose 1 or more")
    goal: Task = TASKS[task](gather_labels(train, "train") if labels is None else labels, smoothing)
    mixing = mixing or (Mixing(0, 0, seed=seed) if task == "regression" else Mixing(seed=seed))
    stream = _repeat(train, steps * accumulation)
    first = next(stream)
    stream = itertools.chain([first], stream)
    width = represent(method.to(device), first, device).pooled.shape[-1]
    history, losses = [], []
    every = max(1, steps // max(checks, 1))
    with torch.random.fork_rng():  # drop path knows no generator of its own
        torch.manual_seed(seed)
        classifier = Classifier(copy.deepcopy(method), goal, width).to(device)
        groups = _trainable(classifier, drop_path, layer_decay, weight_decay)
        solver = torch.optim.AdamW(groups, lr=0.0, betas=betas)
        for step in range(steps):
            batches = [to_device(batch, device) for batch in itertools.islice(stream, accumulation)]
            rate = lr * sum(len(batch["label"]) for batch in batches) / 256 * warmup_cosine(step, steps, warmup * steps)
            losses.append(_update(classifier, solver, mixing, batches, rate, clip, precision))
            if validation is not None and ((step + 1) % every == 0 or step + 1 == steps):
                history.append((step + 1, score(classifier, validation, device, precision)))
    classifier.eval()
    found = None if test is None else score(classifier, test, device, precision)
    return FineTuned(classifier, goal.metric, found, tuple(history), tuple(losses))


class FineTune:
    """Fine-tuning as a probe of the last block: the same batches, mixed anew in every epoch, without random crops.

    For the full recipe hand augmented batches to `finetune`. tune: `finetune`, or a partial of it with other settings.
    memory: bytes of pictures that are held to mix them.
    """

    name = "finetune"
    on_pixels = False

    def __init__(
        self,
        epochs: int = 30,
        batch: int = 256,
        tune: Callable[..., FineTuned] = finetune,
        memory: int = MEMORY,
        seed: int = 0,
    ):
        self.epochs = epochs
        self.batch = batch
        self.tune = tune
        self.memory = memory
        self.seed = seed

    def run(
        self,
        method: Method,
        parts: dict[str, Iterable[Batch]],
        device: torch.device | str = "cpu",
        precision: str | None = None,
    ) -> Outcome:
        """Trains on the "train" part, follows "validation", scores once on "test"."""
        labels = gather_labels(parts["train"], "train")
        mixed = Shuffled(parts["train"], self.batch, self.memory, torch.Generator().manual_seed(self.seed))
        steps = self.epochs * math.ceil(len(labels) / self.batch)
        where = {"device": device, "precision": precision, "seed": self.seed}
        found = self.tune(method, mixed, parts["validation"], parts["test"], steps=steps, labels=labels, **where)
        last = max(1, len(trunk_blocks(method)))
        return Outcome(self.name, found.metric, {last: found.validation[-1][1]}, last, found.test or 0.0)


def score(
    classifier: Classifier, batches: Iterable[Batch], device: torch.device | str = "cpu", precision: str | None = None
) -> float:
    """The classifier's score on all samples together."""
    answers, labels = [], []
    with frozen(classifier), torch.no_grad():
        for batch in map(with_label, batches):  # data are read and made in full precision
            with automatic(device, precision):
                answers.append(classifier(to_device(batch, device)).cpu())
            labels.append(batch["label"].cpu())
    return classifier.task.score(torch.cat(answers), torch.cat(labels))


def _trainable(classifier: Classifier, drop_path: float, layer_decay: float, weight_decay: float) -> list[dict]:
    """Groups of what is trained, the encoder and the head; the rest of the method stays as it is."""
    encoder = getattr(classifier.method, "encoder", None)
    if encoder is None:
        raise ValueError(f"{type(classifier.method).__name__} has no `encoder` to fine-tune; use a probe instead")
    classifier.method.requires_grad_(False)
    encoder.requires_grad_(True)
    set_drop_path(encoder, drop_path)
    return parameter_groups(encoder, classifier.head, layer_decay, weight_decay)


def _update(
    classifier: Classifier, solver, mixing: Mixing, batches: list[Batch], rate: float, clip: float | None, precision
) -> float:
    """One step of the optimiser on all batches together; returns the loss."""
    classifier.train()
    solver.zero_grad()
    total = 0.0
    for batch in batches:
        mixed, targets = mixing(batch, classifier.task.targets(batch["label"]))
        with automatic(targets.device, precision):
            scores = classifier(mixed)
        loss = classifier.task.loss(scores.float(), targets) / len(batches)
        loss.backward()
        total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss is {total}; use a lower `lr`, or full precision")
    for group in solver.param_groups:
        group["lr"] = rate * group["scale"]
    if clip is not None:
        nn.utils.clip_grad_norm_([p for group in solver.param_groups for p in group["params"]], clip)
    solver.step()
    return total


def _repeat(batches: Iterable[Batch], steps: int) -> Iterator[Batch]:
    """So many batches, from the start again when they end; refuses those that come sorted by class."""
    given, alike = 0, 0
    while given < steps:
        before = given
        for batch in map(with_label, batches):
            label = batch["label"]
            alike = alike + 1 if label.ndim == 1 and len(label) > 7 and len(label.unique()) == 1 else -steps
            if alike == CLASSES_IN_A_ROW:
                raise ValueError(f"the first {alike} batches hold one class each; give the batches in random order")
            yield batch
            given += 1
            if given == steps:
                return
        if given == before:
            raise ValueError("the training batches can be read only once or are empty; pass a list or a loader")
