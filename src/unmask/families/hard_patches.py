"""Masked autoencoding that learns which places are hard to predict, so that its sampler can hide them."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unmask.core import Batch, Context, Mask, check_choice, key_of, only_known
from unmask.families.masked_autoencoder import MaskedAutoencoder
from unmask.parts.losses.loss_prediction import pairwise_order, standardised_error
from unmask.parts.losses.masked import masked_mean, place_mse
from unmask.parts.nets.loss_predictor import LossPredictor
from unmask.parts.nets.teacher import Teacher, first_weights
from unmask.parts.nets.transformer import Record
from unmask.parts.targets.pixels import Target

TARGETS = ("pixels", "features")  # what its builders let choose from; None, to the family, are features
RULES = {"order": pairwise_order, "value": standardised_error}
LAGS = (0.008, 0.08)  # of the training, by which a copy lags: 1,000 and 10,000 of the 125,000 steps of HPM's paper
STALE = 0.1  # share of a copy's first weights that says nothing of what is hard


def lagging(steps: float) -> tuple[float, ...]:
    """The first and last decay of a copy that lags by as large a share of so many steps as the published one."""
    return tuple(round(1 - 1 / max(lag * steps, 1), 4) for lag in LAGS)


class HardPatches(MaskedAutoencoder):
    """A masked autoencoder with a second decoder that predicts the loss at every place, and a slow copy of it all that
    sees whole pictures: it says what is hard (`predicted_losses`) and can be the target.

    target: None predicts the copy's features, both of unit length, with a last layer of that width. learns: the "order"
    of a picture's losses or their "value". decay: of the copy, first and last, linear between over the share `rise` of
    the training. A copy lags by 1 / (1 - decay) steps: the published ones are for 100,000 steps and more.
    """

    def __init__(self, encoder, decoder, sampler, target=None, learns="order", decay=(0.999, 0.9999), rise=0.5):
        super().__init__(encoder, decoder, sampler, target or self.copied_features)
        check_choice("learns", learns, RULES)
        if not 0 <= rise <= 1:
            raise ValueError(f"rise {rise} is not a share of the training; choose a number in [0, 1]")
        self.of_features = target is None
        if self.of_features:
            decoder.rehead(encoder.width)
        self.learns, self.decay, self.rise = learns, decay, rise
        self.predictor = LossPredictor(decoder, encoder.numbers)
        self.teacher = Teacher(self._student())
        self._looked: list[tuple[Batch, Tensor]] | None = None

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        self._looked = []  # the mask and the target ask the copy about the same batch
        try:
            return self._losses(only_known(batch, key_of(self.encoder)), context, mask)
        finally:
            self._looked = None

    def _losses(self, batch: Batch, context: Context, mask: Mask | None) -> dict[str, Float[Tensor, ""]]:
        mask = self.sampler(self, batch, context) if mask is None else mask
        values, target = batch[key_of(self.encoder)], self.target(batch)
        tokens, grid, places = self.encoder(values, mask), self.encoder.grid_of(values), self.places(batch)
        prediction = self._unit(self.decoder(tokens, mask, grid, None, places))
        errors = place_mse(prediction, target.values, target.real) * (prediction.shape[-1] if self.of_features else 1)
        predicted = self.predictor(self.decoder.fill(tokens, mask, grid), places)
        hardness = RULES[self.learns](predicted, errors.detach(), mask.hidden)
        return {"reconstruction": masked_mean(errors, mask.hidden), "loss_prediction": hardness}

    def predict(self, batch: Batch, mask: Mask, record: Record | None = None) -> Float[Tensor, "b n k"]:
        return self._unit(super().predict(batch, mask, record))

    @torch.no_grad()
    def predicted_losses(self, batch: Batch) -> Float[Tensor, "b n"]:
        """How hard the slow copy, which sees everything, expects every place to be when it is hidden."""
        copy: Any = self.teacher.network
        values = batch[key_of(self.encoder)]
        grid = self.encoder.grid_of(values)
        nothing = Mask.nothing(len(values), math.prod(grid), device=values.device)
        return copy["predictor"](copy["decoder"].fill(self._copied(batch), nothing, grid), self.places(batch))

    def copied_features(self, batch: Batch) -> Target:
        return Target(F.normalize(self._copied(batch)[:, self.encoder.prefix :].float(), dim=-1))

    @torch.no_grad()
    def _copied(self, batch: Batch) -> Float[Tensor, "b s d"]:
        """The copy's tokens of the whole of every sample; within a step once for the same batch."""
        for known, tokens in self._looked or ():
            if known is batch:
                return tokens
        copy: Any = self.teacher.network
        key = key_of(self.encoder)
        tokens = copy["encoder"](only_known(batch, key)[key], places=self.places(batch))
        if self._looked is not None:
            self._looked.append((batch, tokens))
        return tokens

    def after_step(self, context: Context) -> None:
        self.teacher.follow(self._student(), self._decay(context.progress))

    def remarks(self, steps: int) -> list[str]:
        left = first_weights(self._decay(step / steps) for step in range(steps))
        if left <= STALE:
            return []
        fitting = ",".join(str(decay) for decay in lagging(steps))
        return [
            f"decay {self.decay[0]} to {self.decay[1]} leaves {left:.0%} of the slow copy as it began after {steps:,}"
            f" steps, so that it cannot tell what is hard; decay={fitting} suits so many"
        ]

    def _decay(self, progress: float) -> float:
        first, last = self.decay
        return first + (last - first) * min(progress / max(self.rise, 1e-9), 1.0)

    def _student(self) -> nn.ModuleDict:
        return nn.ModuleDict({"encoder": self.encoder, "decoder": self.decoder, "predictor": self.predictor})

    def _unit(self, prediction: Float[Tensor, "b n k"]) -> Float[Tensor, "b n k"]:
        return F.normalize(prediction.float(), dim=-1) if self.of_features else prediction
