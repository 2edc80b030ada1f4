"""Samples of equations: that they have the moments that the equations say, what names them, what is refused."""

import pytest
import torch

from unmask.core import check_batch
from unmask.data.equations import Dynamic, Given, Static
from unmask.data.evaluation import evaluation_batches
from unmask.data.source import Source
from unmask.data.synthetic import SyntheticSource, open_synthetic
from unmask.data.synthetic_card import PairView, SyntheticCard, inspect_synthetic
from unmask.data.values import whole_of

MANY = 40_000  # samples; a moment is off by about 1 / sqrt(MANY) of itself


@pytest.mark.parametrize(
    "equations",
    [Static((1.0, 2.0), (0.5, 0.0)), Dynamic((0.9, 0.2), (1.0, 3.0), (0.5, 0.1)), Given((1.0, 2.0), (2.0, 0.3), 0.4)],
)
def test_samples_have_the_moments_of_their_equations(equations):
    x, y = equations.draw(MANY, torch.Generator().manual_seed(0))
    exact = equations.moments()
    for found, said in ((x * x, exact.first), (x * y, exact.both), (y * y, exact.second)):
        torch.testing.assert_close(found.mean(0), torch.tensor(said), rtol=0.03, atol=0.02)  # four deviations


def test_coefficients_are_signal_over_signal_and_noise():
    assert Static((1.0, 3.0), (1.0, 1.0)).moments().coefficients == (0.5, 0.75)
    assert Dynamic((0.5, 1.0), (1.0, 3.0), (0.0, 1.0)).moments().coefficients == (0.5, 0.75)
    assert Given((1.0, 2.0), (4.0, 0.5)).moments().coefficients == pytest.approx((4.0, 0.5))


def test_words_name_the_equations_the_samples_and_the_seed():
    source = open_synthetic("static:signal=1x2x3,noise=0x0x1,samples=50,seed=3")
    assert len(source) == 50
    assert source.channels == ("feature_0", "feature_1", "feature_2")
    assert source.items[7].name == "static:signal=1x2x3,noise=0x0x1,samples=50,seed=3[07]"
    again = open_synthetic("static:signal=1x2x3,noise=0x0x1,samples=50,seed=3")
    assert source.fingerprint() == again.fingerprint()
    other = open_synthetic("static:signal=1x2x3,noise=0x0x1,samples=50,seed=4")
    assert source.fingerprint() != other.fingerprint()
    assert source.subset([1]).fingerprint() != other.subset([1]).fingerprint()


def test_the_card_says_what_is_exact_and_what_was_measured():
    source = open_synthetic("static:samples=4000")
    card = inspect_synthetic(source)
    assert card.coefficient == pytest.approx((1 / 1.05, 0.25))
    assert card.measured_coefficient == pytest.approx(card.coefficient, abs=0.03)
    assert SyntheticCard.from_json(card.to_json()) == card
    assert inspect_synthetic(source.subset([0, 1])).count == 2
    for words in ("4,000 pairs of 2 features", "feature_1", "0.2500"):
        assert words in card.to_text(PairView())


def test_a_batch_holds_both_vectors():
    source = open_synthetic("dynamic:samples=10")
    (batch,) = evaluation_batches(source, inspect_synthetic(source), PairView(), 10)
    check_batch(batch)
    assert torch.equal(torch.stack([batch["vector"], batch["partner"]], 1), source.values)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("statik", "no equations are called 'statik'; did you mean static"),
        ("my.csv", "no equations are called 'my.csv'; DATA is one of static, dynamic, given"),
        ("static:samples", "'samples' in static:samples is not NAME=VALUE"),
        ("static:samples=x", "samples='x' is not int"),
        ("static:samples=0", "samples=0 gives no data"),
        ("static:signals=1x2", "argument 'signals' is unknown; did you mean signal"),
        ("static:signal=1x2x3", "signal has 3 features and noise 2"),
        ("static:noise=-1x2", "noise -1 is below 0"),
        ("dynamic:correlation=2x0", "correlation 2 is above 1"),
    ],
)
def test_what_no_equation_takes_gets_one_sentence(spec, words):
    with pytest.raises(ValueError, match=words):
        open_synthetic(spec)


def test_other_data_are_no_samples_of_equations():
    with pytest.raises(TypeError, match="pictures, not samples"):
        whole_of(Source("somewhere", []), SyntheticSource)
