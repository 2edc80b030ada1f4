"""Learning rates of the published schedule."""

import pytest

from unmask.parts.ops.schedule import warmup_cosine


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.0), (5, 0.5), (10, 1.0), (55, 0.5), (100, 0.0)],  # half a cosine is half way at the middle
)
def test_warmup_is_linear_from_zero_and_the_rest_is_half_a_cosine(step, rate):
    assert warmup_cosine(step, 100, 10) == pytest.approx(rate, abs=1e-12)
