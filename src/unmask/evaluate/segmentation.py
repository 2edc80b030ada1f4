"""The segmentation probe: a linear map on every frozen token, enlarged to pixels, scored by intersection over union."""

from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from unmask.core import Batch, Method
from unmask.evaluate.features import frozen
from unmask.evaluate.linear import LinearMap, logistic
from unmask.evaluate.outcome import Outcome, best_block
from unmask.evaluate.tokens import block_tokens, patch_side

IGNORED = -1
TOKENS = 100_000  # sampled for the fit: more change a linear map of some thousand numbers by little
STRENGTHS = (1e-4, 1e-3, 1e-2)


def class_shares(
    segmentation: Int64[Tensor, "b h w"], classes: int, patch: int
) -> tuple[Float[Tensor, "b n c"], Float[Tensor, "b n"]]:
    """The share of every class among the pixels of each patch that count, and the share of pixels that count."""
    h, w = segmentation.shape[-2:]
    padded = F.pad(segmentation, (0, -w % patch, 0, -h % patch), value=IGNORED)
    planes = torch.stack([(padded == one).float() for one in range(classes)], dim=1)
    counts = F.avg_pool2d(planes, patch).flatten(2).transpose(1, 2)
    known = counts.sum(-1)
    return counts / known.clamp(min=1e-9).unsqueeze(-1), known


def pixel_scores(
    scores: Float[Tensor, "b n c"], grid: tuple[int, ...], patch: int, size: tuple[int, int]
) -> Float[Tensor, "b c h w"]:
    """Scores of tokens as scores of pixels, bilinearly; what lies beyond the picture is cut off."""
    planes = scores.transpose(1, 2).unflatten(2, tuple(grid))
    whole = (grid[0] * patch, grid[1] * patch)
    return F.interpolate(planes, size=whole, mode="bilinear", align_corners=False)[..., : size[0], : size[1]]


def confusion(
    prediction: Int64[Tensor, "*shape"], target: Int64[Tensor, "*shape"], classes: int
) -> Int64[Tensor, "c c"]:
    """How often each class (row) was called each class (column), where the target is not ignored."""
    counted = target != IGNORED
    pairs = target[counted] * classes + prediction[counted]
    return torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def mean_iou(table: Int64[Tensor, "c c"]) -> float:
    """Intersection over union, averaged over the classes that occur in target or prediction."""
    both = table.diagonal().double()
    either = table.sum(0) + table.sum(1) - both
    present = either > 0
    return float((both[present] / either[present]).mean()) if present.any() else 0.0


class Segmentation:
    """A linear probe on tokens at every block; penalty and block are chosen on validation.

    Logistic regression on the class shares of a random sample of at most `tokens` patches. Batches hold
    "segmentation", -1 where a pixel does not count.
    """

    name = "segmentation"

    def __init__(self, tokens: int = TOKENS, strengths: Sequence[float] = STRENGTHS, seed: int = 0):
        self.tokens = tokens
        self.strengths = strengths
        self.seed = seed

    def run(
        self,
        method: Method,
        parts: dict[str, Iterable[Batch]],
        device: torch.device | str = "cpu",
        precision: str | None = None,
    ) -> Outcome:
        """Fits on the "train" part, chooses on "validation", scores once on "test"."""
        method.to(device)
        classes = 1 + max(_highest(batches, part) for part, batches in parts.items())
        tables, shares = self.sample(method, parts["train"], classes, device, precision)
        maps = [logistic(table.to(device), shares.to(device), self.strengths) for table in tables]
        found = self._confusions(method, parts["validation"], maps, classes, device, precision)
        ious = [[mean_iou(one) for one in each] for each in found]
        scores = {block: max(each) for block, each in enumerate(ious, 1)}
        best = best_block(scores)
        chosen = maps[best - 1][ious[best - 1].index(scores[best])]
        only = [[chosen] if block == best else [] for block in range(1, len(maps) + 1)]
        (table,) = self._confusions(method, parts["test"], only, classes, device, precision)[best - 1]
        counts = table.sum(1)
        chance = float(counts[shares.sum(0).argmax()] / counts.sum() / (counts > 0).sum())
        return Outcome(self.name, "mIoU", scores, best, mean_iou(table), chance=chance, classes=classes)

    def sample(
        self, method: Method, batches: Iterable[Batch], classes: int, device, precision: str | None
    ) -> tuple[list[Tensor], Tensor]:
        """Tokens of every block and their class shares, drawn evenly from all patches with a known pixel."""
        generator = torch.Generator().manual_seed(self.seed)
        held: list[Tensor] = []
        patch = patch_side(method)
        for batch, tokens, _ in _walk(method, batches, device, precision):
            shares, known = class_shares(batch["segmentation"].long().cpu(), classes, patch)
            rows = (known > 0).flatten()
            fresh = [x.flatten(0, 1).cpu()[rows] for x in (*tokens, shares)]
            fresh.append(torch.rand(len(fresh[0]), generator=generator))
            held = [torch.cat(pair) for pair in zip(held, fresh, strict=True)] if held else fresh
            if len(held[-1]) > self.tokens:
                keep = held[-1].argsort()[: self.tokens]
                held = [x[keep] for x in held]
        return held[:-2], held[-2]

    def _confusions(
        self, method: Method, batches: Iterable[Batch], maps: list[list[LinearMap]], classes: int, device, precision
    ) -> list[list[Tensor]]:
        """One confusion table for every map of every block."""
        tables = [[torch.zeros(classes, classes, dtype=torch.long) for _ in each] for each in maps]
        patch = patch_side(method)
        for batch, tokens, grid in _walk(method, batches, device, precision):
            target = batch["segmentation"].long().cpu()
            for x, each, found in zip(tokens, maps, tables, strict=True):
                for fitted, table in zip(each, found, strict=True):
                    scores = fitted(x.flatten(0, 1)).unflatten(0, x.shape[:2])
                    named = pixel_scores(scores, grid, patch, tuple(target.shape[-2:])).argmax(1)
                    table += confusion(named.cpu(), target, classes)
        return tables


def _walk(method: Method, batches: Iterable[Batch], device, precision: str | None) -> Iterator[tuple]:
    for batch in batches:
        with frozen(method):
            yield batch, *block_tokens(method, batch, device, precision)


def _highest(batches: Iterable[Batch], part: str) -> int:
    """The highest class number of a part."""
    highest = -1
    for batch in batches:
        if "segmentation" in batch:
            highest = max(highest, int(batch["segmentation"].max()))
    if highest < 0:
        raise ValueError(
            f"the data has no labels: no pixel of the {part} part has a class; "
            "give masks beside the pictures, or use probes of whole pictures such as knn"
        )
    return highest
