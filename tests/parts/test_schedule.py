"""Learning rates of the published schedule."""

import pytest

from unmask.parts.ops.schedule import sawtooth, warmed_polynomial, warmup_cosine


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.0), (5, 0.5), (10, 1.0), (55, 0.5), (100, 0.0)],  # half a cosine is half way at the middle
)
def test_warmup_is_linear_from_zero_and_the_rest_is_half_a_cosine(step, rate):
    assert warmup_cosine(step, 100, 10) == pytest.approx(rate, abs=1e-12)


@pytest.mark.faithful("s3d_mae_medical")
@pytest.mark.parametrize(
    ("epoch", "rate", "whole"),
    [
        (0, 1 / 25, False),
        (24, 1.0, False),
        (25, 1.0, False),
        (49, (1 / 25) ** 0.9, False),
        (50, 1 / 50, True),
        (99, 1.0, True),
        (100, 1.0, True),
        (550, 0.5**0.9, True),
        (999, (1 / 900) ** 0.9, True),
    ],
)
def test_the_sawtooth_of_a_thousand_epochs_is_the_released_one(epoch, rate, whole):
    """Worked from Lin_incr_LRScheduler, Lin_incr_offset_LRScheduler and PolyLRScheduler_offset of TaWald/nnUNet."""
    found, everything = sawtooth(epoch, 1000)
    assert found == pytest.approx(rate)
    assert everything == whole


@pytest.mark.parametrize("steps", [1, 5, 20, 37])
def test_a_short_sawtooth_has_rates_above_0_and_ends_with_everything(steps):
    found = [sawtooth(step, steps) for step in range(steps)]
    assert all(0 < rate <= 1 for rate, _ in found)
    assert found[-1][1]


def test_without_warm_up_the_rate_only_falls():
    rates = [warmed_polynomial(step, 100, 0.0)[0] for step in range(100)]
    assert rates[0] == 1
    assert rates == sorted(rates, reverse=True)
    assert warmed_polynomial(0, 100, 0.05) == (1 / 5, True)
    assert warmed_polynomial(5, 100, 0.05) == (1.0, True)
