"""Masked autoencoding that learns which places are hard to predict, so that its sampler can hide them."""

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unmask.core import Batch, Context, Mask, check_choice, key_of, only_known
from unmask.families.masked_autoencoder import MaskedAutoencoder
from unmask.parts.losses.loss_prediction import pairwise_order, standardised_error
from unmask.parts.losses.masked import masked_mean, place_mse
from unmask.parts.nets.lag import Decay
from unmask.parts.nets.loss_predictor import LossPredictor
from unmask.parts.nets.teacher import Teacher
from unmask.parts.nets.transformer import Record
from unmask.parts.targets.pixels import Target

TARGETS = ("pixels", "features")  # what its builders let choose from; None, to the family, are features
RULES = {"order": pairwise_order, "value": standardised_error}


class HardPatches(MaskedAutoencoder):
    """A masked autoencoder with a second decoder that predicts the loss at every place, and a slow copy of it all that
    sees whole pictures: it says what is hard (`predicted_losses`) and can be the target.

    target: None predicts the copy's features, both of unit length, with a last layer of that width. learns: the "order"
    of a picture's losses or their "value". decay, rise: of the copy, see `Decay`.
    """

    def __init__(self, encoder, decoder, sampler, target=None, learns="order", decay=(0.999, 0.9999), rise=0.5):
        super().__init__(encoder, decoder, sampler, target or self.copied_features)
        check_choice("learns", learns, RULES)
        self.learns, self.decay, self.of_features = learns, Decay(decay, rise), target is None
        if self.of_features:
            decoder.rehead(encoder.width)
        self.predictor = LossPredictor(decoder, encoder.numbers)
        self.teacher = Teacher(self._student())

    def losses(self, batch: Batch, context: Context, mask: Mask | None = None) -> dict[str, Float[Tensor, ""]]:
        batch = only_known(batch, key_of(self.encoder))
        with self.teacher.asked_once():  # of this batch, by the mask and by the target
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
        copy, values = cast(Any, self.teacher.network), batch[key_of(self.encoder)]
        grid = self.encoder.grid_of(values)
        nothing = Mask.nothing(len(values), math.prod(grid), device=values.device)
        return copy["predictor"](copy["decoder"].fill(self._copied(batch), nothing, grid), self.places(batch))

    def copied_features(self, batch: Batch) -> Target:
        return Target(F.normalize(self._copied(batch)[:, self.encoder.prefix :].float(), dim=-1))

    @torch.no_grad()
    def _copied(self, batch: Batch) -> Float[Tensor, "b s d"]:
        """The copy's tokens of the whole of every sample."""
        copy, key, places = cast(Any, self.teacher.network), key_of(self.encoder), self.places(batch)
        return self.teacher.answer(batch, lambda: copy["encoder"](only_known(batch, key)[key], places=places))

    def after_step(self, context: Context) -> None:
        self.teacher.follow(self._student(), self.decay.at(context.progress))

    def remarks(self, steps: int) -> list[str]:
        return self.decay.remarks(steps) if self.of_features or getattr(self.sampler, "by_hardness", False) else []

    def _student(self) -> nn.ModuleDict:
        return nn.ModuleDict({"encoder": self.encoder, "decoder": self.decoder, "predictor": self.predictor})

    def _unit(self, prediction: Float[Tensor, "b n k"]) -> Float[Tensor, "b n k"]:
        return F.normalize(prediction.float(), dim=-1) if self.of_features else prediction
