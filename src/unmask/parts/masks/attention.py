"""Hiding what the class token attends to."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.core import Batch, Context, Mask, check_choice, keep_count
from unmask.parts.masks.hard import all_alike
from unmask.parts.masks.hints import first_ranked
from unmask.parts.masks.random import seen_counts
from unmask.parts.nets.transformer import Record

SIDES = ("high", "hint", "low")


def most_attended(
    attention: Float[Tensor, "b n"], share: float, places: Bool[Tensor, "b n"] | None = None, least: bool = False
) -> Bool[Tensor, "b n"]:
    """The int(share * n) places with the highest attention, or with the lowest.

    Source: Kakogeorgiou et al. 2022 (AttMask), attention_masking of the released code.
    """
    exists = torch.ones_like(attention, dtype=torch.bool) if places is None else places
    count = (exists.sum(-1).double() * share).long()
    return first_ranked(attention if least else -attention, exists, count)


def revealed(
    attention: Float[Tensor, "b n"],
    noise: Float[Tensor, "b n"],
    top: float,
    share: float,
    places: Bool[Tensor, "b n"] | None = None,
) -> Bool[Tensor, "b n"]:
    """int(share * n) hints: those of the `top` most attended places that have the lowest noise.

    Source: as `most_attended`, show_hints.
    """
    exists = torch.ones_like(attention, dtype=torch.bool) if places is None else places
    count = (exists.sum(-1).double() * share).long()
    return first_ranked(noise, most_attended(attention, top, places), count)


def class_attention(encoder, image: Float[Tensor, "b c h w"], places: Bool[Tensor, "b n"] | None = None) -> Tensor:
    """What the class token attends to in the last block, averaged over the heads: [b n]."""
    record, training = Record(attention=True, last=True), encoder.training
    encoder.eval()
    with torch.no_grad():
        encoder(image, record=record, places=places)
    encoder.train(training)
    return record.maps[-1][:, :, 0, encoder.prefix :].mean(1)


class AttentionMask(nn.Module):
    """Hides the places that the class token attends to most; the attention is that of `model.class_attention(batch)`
    where there is one, such as a teacher's, else of the model's own encoder.

    hide: the "high"est, the highest but for a few ("hint"), or, as a control, the "low"est.
    ratio, spread: the share that is hidden is drawn for every batch between ratio - spread and ratio + spread.
    probability: of a picture to be masked at all.
    top: hints are drawn from that share of the places, and are that share of what is hidden.
    Pictures that are attended to evenly are masked at random and counted.
    """

    asked: Tensor
    undecided: Tensor

    def __init__(
        self, hide: str = "high", ratio: float = 0.75, spread: float = 0.0, probability: float = 1.0, top: float = 0.1
    ):
        super().__init__()
        check_choice("hide", hide, SIDES)
        for end in (ratio - spread, ratio + spread):
            keep_count(1000, end)
        if not (0 < probability <= 1 and 0 < top < 1):
            raise ValueError(f"probability {probability} and top {top} are not shares; choose numbers above 0, up to 1")
        self.hide = hide
        self.ratio = ratio
        self.spread = spread
        self.probability = probability
        self.top = top
        self.register_buffer("asked", torch.tensor(0))
        self.register_buffer("undecided", torch.tensor(0))

    def __call__(self, model, batch: Batch, context: Context) -> Mask:
        places = model.places(batch)
        if hasattr(model, "class_attention"):
            attention = model.class_attention(batch)
        else:
            attention = class_attention(model.encoder, batch["image"], places)
        return self.of(attention, context, places, model.training)

    def check(self, model) -> None:
        """Raises ValueError for a model without a class token whose attention could say anything."""
        if not hasattr(model, "class_attention") and not getattr(model.encoder, "prefix", 0):
            raise ValueError(
                f"masks from attention need a class token, and {type(model).__name__} has none; create the encoder"
                " with class_token=True if it is a transformer"
            )

    def of(
        self, attention: Float[Tensor, "b n"], context: Context, places: Bool[Tensor, "b n"] | None, counted: bool
    ) -> Mask:
        """The mask of pictures whose attention is known already."""
        attention = attention.detach().float()
        exists = torch.ones_like(attention, dtype=torch.bool) if places is None else places
        noise = [context.uniform(*attention.shape, device=attention.device) for _ in range(2)]
        chance = context.uniform(attention.shape[0], 1, device=attention.device)
        even = all_alike(attention, exists)
        if counted:
            self.asked += len(even)
            self.undecided += even.sum()
        attention = torch.where(even.unsqueeze(-1), noise[0], attention)
        ratios = [self.ratio + self.spread * (2 * self._draw(context) - 1) for _ in range(2)]
        seen = seen_counts(attention.shape[-1], ratios[0], "floor_hidden", places)
        mask = Mask.from_scores(-attention if self.hide == "low" else attention, seen, places)
        hidden = mask.hidden & (chance <= self.probability)
        if self.hide == "hint":
            hidden = hidden & ~revealed(attention, noise[1], self.top, self.top * ratios[1], places)
        return Mask.of(hidden, places)

    def measures(self) -> dict[str, float]:
        """What to log: the share of pictures that were attended to evenly."""
        asked = int(self.asked)
        return {"undecided": int(self.undecided) / asked if asked else 0.0}

    def _draw(self, context: Context) -> float:
        """One number for the whole batch, however it is divided; none is drawn where the share is fixed."""
        return float(torch.rand((), generator=context.generator)) if self.spread else 0.5
