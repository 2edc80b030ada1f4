"""Support vectors in folds."""

import numpy as np
import pytest

from unmask.evaluate.folds import in_folds

LABELS = np.arange(40) % 2


def test_what_is_separable_is_found_and_noise_is_not():
    generator = np.random.default_rng(0)
    apart = in_folds(LABELS[:, None] + 0.1 * generator.normal(size=(40, 2)), LABELS, 4)
    assert (apart.mean, apart.spread, apart.count) == (1.0, 0.0, 4)
    assert in_folds(generator.normal(size=(40, 2)), LABELS, 4).mean < 0.75


def test_a_class_must_reach_into_every_fold():
    with pytest.raises(
        ValueError, match="10 folds need as many samples of every class, and at least 2; the rarest has 3"
    ):
        in_folds(np.zeros((13, 2)), np.array([0] * 10 + [1] * 3))
