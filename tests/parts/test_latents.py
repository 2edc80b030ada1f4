"""Densities, bounds, priors, discrepancies and the game in the space of codes."""

import math

import pytest
import torch

from unmask.parts.latents.adversary import LatentAdversary, being_taken_for, telling_apart
from unmask.parts.latents.bernoulli import BernoulliLayer, bernoulli_log_density, binarised
from unmask.parts.latents.bounds import average_bound, importance_bound
from unmask.parts.latents.discrepancy import inverse_multiquadratic, moment_gap, radial
from unmask.parts.latents.gaussian import Gaussian, GaussianLayer, standard_divergence, standard_log_density
from unmask.parts.latents.prior import Prior
from unmask.parts.nets.dcgan import ConvEncoder


def test_gaussian_density_is_that_of_torch():
    mean, deviation, value = torch.randn(3, 4), torch.rand(3, 4) + 0.1, torch.randn(3, 4)
    expected = torch.distributions.Normal(mean, deviation).log_prob(value).sum(-1)
    torch.testing.assert_close(Gaussian(mean, deviation).log_density(value), expected)
    assert standard_log_density(torch.zeros(2, 5)).tolist() == pytest.approx([-2.5 * math.log(2 * math.pi)] * 2)


def test_a_gaussian_sample_is_its_noise_stretched_and_moved():
    found = Gaussian(torch.tensor([1.0]), torch.tensor([2.0])).at(torch.tensor([[0.5], [-1.0]]))
    assert found.tolist() == [[2.0], [-1.0]]


def test_divergence_is_that_of_torch():
    mean, log_variance = torch.randn(3, 4), torch.randn(3, 4)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(standard_divergence(mean, log_variance), expected)


def test_a_layer_gives_positive_deviations():
    found = GaussianLayer(5, 7, 3)(torch.randn(2, 4, 5))
    assert found.mean.shape == (2, 4, 3)
    assert (found.deviation > 0).all()


def test_binary_pixels_that_are_not_valid_do_not_count():
    logits, value = torch.tensor([[0.0, 2.0, -1.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    by_hand = [math.log(0.5), -math.log1p(math.exp(-2)), -math.log1p(math.exp(-1))]
    assert bernoulli_log_density(logits, value).item() == pytest.approx(sum(by_hand))
    valid = torch.tensor([[True, False, True]])
    assert bernoulli_log_density(logits, value, valid).item() == pytest.approx(by_hand[0] + by_hand[2])


def test_black_stays_black_and_white_white_when_binarised():
    noise = torch.tensor([0.0, 0.999999, 0.2, 0.4])
    assert binarised(noise, torch.tensor([0.0, 1.0, 0.3, 0.3])).tolist() == [0.0, 1.0, 1.0, 0.0]


def test_pixel_biases_are_per_channel():
    layer = BernoulliLayer(3, 4, 2, 5, (0.25, 0.0))
    bias = layer.logits.bias.sigmoid().tolist()
    assert bias == pytest.approx([0.25] * 5 + [1e-3] * 5)


def test_bounds_by_hand_and_far_from_one():
    weights = torch.tensor([[0.0, math.log(3.0)]])
    assert importance_bound(weights).item() == pytest.approx(math.log(2.0))
    assert average_bound(weights).item() == pytest.approx(math.log(3.0) / 2)
    assert importance_bound(weights - 5000).item() == pytest.approx(math.log(2.0) - 5000)


@pytest.mark.parametrize(("kind", "scale"), [("normal", 2.0), ("sphere", 1.0), ("uniform", 1.0)])
def test_priors_draw_in_their_domain(kind, scale):
    prior = Prior(kind, scale)
    found = prior.draw(torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0)))
    spread = {"normal": 2.0, "sphere": 1 / math.sqrt(3), "uniform": 1 / math.sqrt(3)}[kind]
    assert found.std(0).tolist() == pytest.approx([spread] * 3, rel=0.02)
    if kind != "normal":
        assert found.abs().max() <= 1 + 1e-6
        assert prior.inside(10 * found).abs().max() <= 1 + 1e-6
    with pytest.raises(ValueError, match="choose one of normal"):
        Prior("cauchy")


def test_discrepancy_by_hand_for_two_codes():
    codes, drawn = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [2.0]])
    expected = 0.0
    for scale in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0):
        c = 2 * scale
        expected += c / (c + 1) + c / (c + 4) - (1 + c / (c + 4) + 2 * c / (c + 1)) / 2
    assert inverse_multiquadratic(codes, drawn, 2.0).item() == pytest.approx(expected, abs=1e-6)


def test_discrepancies_see_codes_that_shrink_and_refuse_a_single_one():
    drawn = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    for measure in (lambda q, p: inverse_multiquadratic(q, p, 8.0), radial, moment_gap):
        assert measure(0.1 * drawn, drawn) > measure(0.9 * drawn, drawn)
    with pytest.raises(ValueError, match="batch of at least 2"):
        radial(drawn[:1], drawn[:1])


def test_discrepancy_is_not_computed_in_half_precision():
    codes, drawn = torch.randn(32, 8) + 20, torch.randn(32, 8) + 20
    with torch.autocast("cpu", torch.bfloat16):
        found = inverse_multiquadratic(codes, drawn, 16.0)
    torch.testing.assert_close(found, inverse_multiquadratic(codes, drawn, 16.0))


def test_the_game_is_one_of_logistic_losses():
    real, false = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 3.0])
    expected = -real.sigmoid().log().mean() - (1 - false.sigmoid()).log().mean()
    torch.testing.assert_close(telling_apart(real, false), expected)
    torch.testing.assert_close(being_taken_for(false), -false.sigmoid().log().mean())


def test_the_known_density_is_added_to_the_logit():
    torch.manual_seed(0)
    encoder = ConvEncoder(8, latent=3, width=4, layers=2)
    plain, knowing = LatentAdversary(encoder, 5, 2, known_prior=False), LatentAdversary(encoder, 5, 2)
    knowing.load_state_dict(plain.state_dict())
    codes = torch.randn(6, 3)
    added = knowing(codes, 2.0) - plain(codes, 2.0)
    expected = torch.distributions.Normal(0.0, 2.0).log_prob(codes).sum(-1) + math.log(2 * math.pi)  # a constant apart
    torch.testing.assert_close(added, expected, atol=1e-5, rtol=1e-5)
