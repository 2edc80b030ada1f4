"""How far a slow copy lags, and what suits a short training."""

from unmask.parts.nets.lag import Decay, lagging


def test_the_suggested_copy_lags_by_the_same_share_of_any_training():
    assert lagging(125_000) == (0.999, 0.9999)
    assert lagging(1250) == (0.9, 0.99)
    assert lagging(10) == (0.0, 0.0)


def test_what_is_suggested_is_not_remarked_on():
    for steps in (100, 1000, 50_000):
        assert Decay(lagging(steps), rise=0.5).remarks(steps) == []


def test_a_copy_that_never_moves_is_remarked_on_however_long_the_training():
    assert "leaves 100% of the slow copy" in Decay((1.0, 1.0), rise=0.0).remarks(10_000)[0]
