"""Sparsity in numbers, on a case worked by hand."""

import pytest
import torch

from unmask.core import Method
from unmask.evaluate.sparsity import sparsity


class Halves(Method):
    """Gives half of every number back, with one of three latents in use for every second vector."""

    def latents(self, batch):
        found = torch.zeros(len(batch["activation"]), 3)
        found[::2, 1] = 1.0
        return found

    def restored(self, batch):
        return batch["activation"] / 2


def test_error_is_a_share_of_the_variance_and_latents_are_counted():
    x = torch.tensor([[2.0, 0.0], [-2.0, 0.0]])
    found = sparsity(Halves(), [{"activation": x}, {"activation": x}])
    assert found == {"error": 0.25, "used": 0.5, "dead": pytest.approx(2 / 3), "activations": 4.0}


def test_a_method_without_latents_is_refused():
    with pytest.raises(ValueError, match="has no latents"):
        sparsity(Method(), [])
    with pytest.raises(ValueError, match="nothing to evaluate"):
        sparsity(Halves(), [])
