"""Hiding what is hard to predict: a part of the mask by hardness, the rest at random."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Batch, Context, Mask, check_choice, keep_count, key_of, only_known
from unmask.parts.losses.masked import place_mse
from unmask.parts.masks.hints import first_ranked
from unmask.parts.masks.random import seen_counts

SIDES = ("hard", "easy")


def hard_mask(
    hardness: Float[Tensor, "b n"],
    noise: Float[Tensor, "b n"],
    ratio: float,
    share: float,
    places: Bool[Tensor, "b n"] | None = None,
) -> Mask:
    """Hides the hardest places, int(share * hidden) of them, and of the others those with the highest noise.

    Source: Wang et al. 2023 (HPM), generate_mask of the released code.
    """
    exists = torch.ones_like(noise, dtype=torch.bool) if places is None else places
    seen = seen_counts(noise.shape[-1], ratio, "floor_kept", places)
    count = ((exists.sum(-1) - seen).double() * share).long()
    hardest = first_ranked(-hardness, exists, count)
    return Mask.from_scores(noise.masked_fill(hardest, torch.finfo(noise.dtype).max), seen, places)


@torch.no_grad()
def own_errors(model, batch: Batch, noise: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """The model's error at every place when it is hidden: two predictions, each with the half that the other hides."""
    batch, places = only_known(batch, key_of(model.encoder)), model.places(batch)
    target = model.target(batch)
    first = Mask.from_scores(noise, seen_counts(noise.shape[-1], 0.5, "floor_kept", places), places)
    second = Mask.of(~first.hidden, places)
    training = model.training
    model.eval()
    one, other = (place_mse(model.predict(batch, mask), target.values, target.real) for mask in (first, second))
    model.train(training)
    return torch.where(first.hidden, one, other)


class HardMask(nn.Module):
    """Hides more and more of the hardest places as the training goes on, the rest at random.

    Hardness is what the model predicts its losses to be (`predicted_losses(batch)`) if it does that, else its own
    errors, measured with two complementary random masks.
    hide: the "hard" places or, as a control, the "easy" ones.
    start, end: share of the hidden places that is chosen by hardness when training begins and ends, linear between.
    Pictures whose places are all equally hard are masked at random and counted. Of clips the places of a frame are
    chosen by their hardness averaged over time, and hidden at every time.
    """

    asked: Tensor
    undecided: Tensor

    def __init__(self, ratio: float = 0.75, hide: str = "hard", start: float = 0.0, end: float = 0.5):
        super().__init__()
        keep_count(1000, ratio)
        check_choice("hide", hide, SIDES)
        if not (0 <= start <= 1 and 0 <= end <= 1):
            raise ValueError(f"hard places from {start} to {end} are not shares of the hidden ones; choose 0 to 1")
        self.ratio = ratio
        self.hide = hide
        self.start = start
        self.end = end
        self.register_buffer("asked", torch.tensor(0))
        self.register_buffer("undecided", torch.tensor(0))

    @property
    def by_hardness(self) -> bool:
        """Whether any place is ever hidden for being hard."""
        return max(self.start, self.end) > 0

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        values, places = batch[key_of(model.encoder)], model.places(batch)
        *times, rows, columns = model.encoder.grid_of(values)
        noise = context.uniform(len(values), rows * columns, device=values.device)
        share = self.share(context.progress)
        if share * noise.shape[-1] < 1:
            return at_every_time(hard_mask(noise, noise, self.ratio, 0.0, places), times)
        hardness = self._hardness(model, batch, context)
        if times:
            hardness = hardness.unflatten(1, (*times, -1)).mean(1)
        exists = torch.ones_like(noise, dtype=torch.bool) if places is None else places
        alike = all_alike(hardness, exists)
        if model.training:
            self.asked += len(alike)
            self.undecided += alike.sum()
        hardness = hardness if self.hide == "hard" else -hardness
        hardness = torch.where(alike.unsqueeze(-1), -noise, hardness)
        return at_every_time(hard_mask(hardness, noise, self.ratio, share, places), times)

    def check(self, model) -> None:
        """Raises ValueError for a model that predicts nothing at its places."""
        if not (hasattr(model, "predict") and hasattr(model, "target")):
            raise ValueError(f"{type(model).__name__} predicts no places, so that none is hard; use another mask")

    def share(self, progress: float) -> float:
        """The share of the hidden places that is chosen by hardness when that share of the training is done."""
        return self.start + (self.end - self.start) * min(max(progress, 0.0), 1.0)

    def measures(self) -> dict[str, float]:
        """What to log: the share of pictures whose places were all equally hard."""
        asked = int(self.asked)
        return {"undecided": int(self.undecided) / asked if asked else 0.0}

    @torch.no_grad()
    def _hardness(self, model, batch: Batch, context: Context) -> Float[Tensor, "b n"]:
        if hasattr(model, "predicted_losses"):
            return model.predicted_losses(batch).float()
        values = batch[key_of(model.encoder)]
        count = math.prod(model.encoder.grid_of(values))
        return own_errors(model, batch, context.uniform(len(values), count, device=values.device)).float()


class HardTubes(HardMask):
    """The same with as much hidden as clips allow."""

    def __init__(self, ratio: float = 0.9, hide: str = "hard", start: float = 0.0, end: float = 0.5):
        super().__init__(ratio, hide, start, end)


def at_every_time(mask: Mask, times: Sequence[int]) -> Mask:
    """The mask of a frame for all times of a clip; pictures, which have none, keep theirs."""
    return Mask.of(mask.hidden.repeat(1, *times)) if times else mask


def all_alike(scores: Float[Tensor, "b n"], exists: Bool[Tensor, "b n"]) -> Bool[Tensor, "b"]:
    """Rows whose scores rank nothing: all equal, or not numbers."""
    low = scores.masked_fill(~exists, torch.inf).amin(-1)
    high = scores.masked_fill(~exists, -torch.inf).amax(-1)
    return ~(high > low) | ~torch.isfinite(low) | ~torch.isfinite(high)
