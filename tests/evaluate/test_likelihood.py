"""Likelihood of held-out pictures: the mean, its error, its unit."""

import math

import pytest
import torch

from unmask.core import Features, Method
from unmask.evaluate.likelihood import likelihood


class Coin(Method):
    """Every binary value of a picture has probability 1/2."""

    def log_likelihood(self, batch, samples, generator=None):
        valid = batch.get("image_valid")
        shape = batch["image"].shape
        counts = torch.full((shape[0],), math.prod(shape[1:])) if valid is None else valid.flatten(1).sum(1) * shape[1]
        return -math.log(2) * counts.float()

    def features(self, batch):
        return Features(batch["image"].flatten(1))


def test_a_coin_per_value_is_one_bit_per_dimension():
    found = likelihood(Coin(), [{"image": torch.zeros(3, 2, 4, 4)}, {"image": torch.zeros(1, 2, 4, 4)}], 7)
    assert found["bits_per_dim"] == pytest.approx(1)
    assert found["log_likelihood"] == pytest.approx(-32 * math.log(2))
    assert (found["standard_error"], found["count"], found["samples"]) == (0, 4, 7)


def test_values_that_are_not_there_are_no_dimensions():
    valid = torch.zeros(2, 4, 4, dtype=torch.bool)
    valid[:, :2] = True
    batch = {"image": torch.zeros(2, 3, 4, 4), "image_valid": valid}
    assert likelihood(Coin(), [batch], 1)["bits_per_dim"] == pytest.approx(1)


def test_a_method_that_cannot_say_is_refused():
    from unmask.methods.wae import tiny

    with pytest.raises(ValueError, match="WAE does not say how likely"):
        likelihood(tiny()[0], [])
    with pytest.raises(ValueError, match="batches are empty"):
        likelihood(Coin(), [])
    with pytest.raises(ValueError, match="samples 0"):
        likelihood(Coin(), [], 0)
