import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from unmask.evaluate import linear
from unmask.evaluate.linear import Linear, LinearMap, Ridge, Standard, choose, linear_accuracy, logistic, ridge


def loss(fitted, x, shares):
    """Mean cross entropy and penalty, computed another way."""
    scores = fitted(x).double()
    penalty = fitted.strength / 2 * fitted.weight.double().square().sum()
    return float(-(shares.double() * scores.log_softmax(-1)).sum(-1).mean() + penalty)


def test_ridge_is_the_closed_form():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(60, 5, generator=generator) * 3 + 1, torch.randn(60, 2, generator=generator)
    z = (x - x.mean(0)) / (x.var(0, correction=0) + 1e-6).sqrt()
    for fitted in ridge(x, y, (0.01, 0.5)):
        plain = torch.linalg.inv(z.T @ z / 60 + fitted.strength * torch.eye(5)) @ (z.T @ (y - y.mean(0)) / 60)
        assert torch.allclose(fitted.weight, plain, atol=1e-5)  # inverse in float32
        assert torch.allclose(fitted(x), z @ plain + y.mean(0), atol=1e-5)


def test_ridge_recovers_a_planted_map():
    x = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    planted = torch.arange(12.0).reshape(6, 2)
    (fitted,) = ridge(x, x @ planted + 3, (1e-8,))
    assert torch.allclose(fitted(x), x @ planted + 3, atol=1e-3)


def test_logistic_regression_agrees_with_scikit_learn(points):
    x, labels = points(300, spread=1.5)
    z = Standard.of(x)(x).numpy()
    for fitted in logistic(x, labels, (1e-1, 1e-3), tolerance=1e-9):
        peer = LogisticRegression(C=1 / (300 * fitted.strength), tol=1e-8, max_iter=2000).fit(z, labels.numpy())
        own = fitted(x).softmax(-1).detach().numpy()
        assert np.abs(own - peer.predict_proba(z)).max() < 2e-3  # both stop before the exact minimum


def test_the_usual_tolerance_reaches_the_minimum(points):
    x, labels = points(400, spread=1.5)
    shares = torch.nn.functional.one_hot(labels).float()
    usual, exact = logistic(x, labels), logistic(x, labels, tolerance=1e-10)
    for near, best in zip(usual, exact, strict=True):
        assert loss(near, x, shares) - loss(best, x, shares) < 1e-3


def test_class_numbers_and_shares_give_the_same_map(points):
    x, labels = points(100)
    (hard,), (soft,) = (logistic(x, y, (1e-2,)) for y in (labels, torch.nn.functional.one_hot(labels).float()))
    assert torch.allclose(hard(x), soft(x), atol=1e-2)  # two summation orders of cross entropy


def test_fewer_samples_than_features_give_the_same_minimum(points):
    """With n < d the axes come from the samples; random extra columns of zero must change nothing."""
    x, labels = points(40, width=8)
    wide = torch.cat([x, torch.zeros(40, 60)], 1)
    (narrow,), (broad,) = (logistic(table, labels, (1e-2,), tolerance=1e-9) for table in (x, wide))
    assert torch.allclose(narrow(x), broad(wide), atol=1e-2)


def test_a_stronger_penalty_gives_a_smaller_weight(points):
    for solve in (logistic, lambda x, y: ridge(x, torch.nn.functional.one_hot(y).float())):
        maps = sorted(solve(*points(200)), key=lambda fitted: fitted.strength)
        sizes = [float(fitted.weight.norm()) for fitted in maps]
        assert sizes == sorted(sizes, reverse=True)


def test_pieces_of_any_size_give_the_same_maps(points, monkeypatch):
    x, labels = points(203, spread=1.5)
    shares = torch.nn.functional.one_hot(labels).float()
    whole = [*ridge(x, labels), *ridge(x, shares), *logistic(x, labels, (1e-1, 1e-2), tolerance=1e-9)]
    monkeypatch.setattr(linear, "PIECE", 56)  # seven rows of eight numbers
    parts = [*ridge(x, labels), *ridge(x, shares), *logistic(x, labels, (1e-1, 1e-2), tolerance=1e-9)]
    for one, many in zip(whole, parts, strict=True):
        assert torch.allclose(one(x), many(x), atol=2e-3)  # where L-BFGS stops depends on the last digits


@pytest.mark.parametrize("solve", [ridge, logistic])
def test_no_tensor_is_as_large_as_the_table(solve, largest, monkeypatch):
    """A table of 2.5 MB, in pieces of 64 kB; float64 takes twice as much."""
    monkeypatch.setattr(linear, "PIECE", 1 << 14)
    x, labels = torch.randn(20_000, 32), torch.arange(20_000) % 3
    with largest() as seen:
        solve(x, labels, (1.0,))
    assert seen.bytes <= 1 << 18


def test_ridge_loses_no_digits_to_a_large_offset(points):
    x, labels = points(200)
    (plain,), (moved,) = (ridge(table, labels, (1e-2,)) for table in (x, x + 1024))  # exact but for x's own rounding
    assert torch.allclose(plain(x), moved(x + 1024), atol=2e-3)


def test_ridge_takes_class_numbers_for_rows_of_zeros_and_ones(points):
    x, labels = points(100)
    (hard,), (soft,) = (ridge(x, y, (1e-2,)) for y in (labels, torch.nn.functional.one_hot(labels).float()))
    assert torch.equal(hard.weight, soft.weight)


@pytest.mark.parametrize("probe", [Linear(), Ridge()])
def test_planted_clusters_are_separated(points, probe):
    found = linear_accuracy(*points(400, seed=1), *points(100, seed=2), *points(100, seed=3), probe=probe)
    assert found > 0.97


def test_the_strength_is_chosen_on_validation():
    """Two maps, one right and one wrong: the right one wins although its penalty is weaker."""
    standard = Standard(torch.zeros(2), torch.ones(2))
    right = LinearMap(standard, torch.eye(2), torch.zeros(2), 0.1)
    wrong = LinearMap(standard, -torch.eye(2), torch.zeros(2), 1.0)
    assert choose([wrong, right], torch.eye(2), torch.tensor([0, 1])) is right


def test_scale_and_offset_of_features_do_not_matter(points):
    (x, labels), (test, _) = points(200, seed=1), points(50, seed=2)
    scale, offset = torch.rand(8) * 50 + 0.5, torch.randn(8) * 10
    (plain,), (moved,) = (logistic(table, labels, (1e-2,), tolerance=1e-9) for table in (x, x * scale + offset))
    assert torch.allclose(plain(test), moved(test * scale + offset), atol=2e-2)  # the epsilon of the deviation


def test_constant_features_do_no_harm(points):
    x, labels = points(200)
    table = torch.cat([x, torch.full((200, 1), 5.0)], 1)
    for fitted in (*logistic(table, labels, (1e-3,)), *ridge(table, torch.nn.functional.one_hot(labels).float())):
        assert fitted(table).isfinite().all()


def test_a_penalty_of_zero_is_refused(points):
    with pytest.raises(ValueError, match="positive"):
        logistic(*points(20), strengths=(0.0, 1.0))
