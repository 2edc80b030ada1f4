"""IWAE: equal to its released code on the same weights, pixels and noise, and true to evidence that is known."""

import itertools
import json
import math

import pytest
import torch

from formulas import recorded, wave
from small_run import unmask, without_drawing  # noqa: F401
from unmask.core import Context, Mask
from unmask.evaluate.codes import active_units
from unmask.evaluate.likelihood import likelihood
from unmask.methods.iwae import IWAE, StochasticEncoder, tiny
from unmask.parts.latents.bounds import average_bound, importance_bound
from unmask.parts.latents.gaussian import Gaussian, standard_log_density
from unmask.parts.nets.pixel_range import PixelRange

faithful = pytest.mark.faithful("iwae")

# How iwae_reference.json was made: see its entry "how"; `wave` below is the formula of its weights, pixels and noise.
REFERENCE = recorded(__file__, "iwae_reference.json")


def linears(method):
    """The linear layers in the order of the reference: encoder from below, then decoder from above."""
    layers = [*method.encoder.layers, *reversed(method.decoder.layers)]
    found = [x for layer in layers for x in (layer.trunk[0], layer.trunk[2], layer.mean, layer.log_deviation)]
    return [*found, method.decoder.pixels.trunk[0], method.decoder.pixels.trunk[2], method.decoder.pixels.logits]


def create(case, bound="importance"):
    encoder = StochasticEncoder((2, 3), 1, tuple(case["latent"]), tuple(case["hidden"]))
    method = IWAE(encoder, samples=case["samples"], bound=bound)
    with torch.no_grad():
        for number, layer in enumerate(linears(method)):
            outputs, inputs = layer.weight.shape
            weight = wave(layer.weight.numel(), 2 * number).reshape(inputs, outputs).T
            bias = wave(outputs, 2 * number + 1)
            layer.weight.copy_(0.1 * weight if inputs == 1 else weight * (2 / inputs) ** 0.5)
            layer.bias.copy_(0.1 * bias)
    return method


@pytest.fixture(params=REFERENCE["cases"], ids=lambda c: f"{len(c['latent'])}-layers-{c['samples']}-samples")
def case(request):
    return request.param


def inputs(case, b=3):
    value = (wave(b * 6, 0.3).reshape(b, 6) > 0).float()
    noise = [wave(b * case["samples"] * d, 7 + n).reshape(b, -1, d) * 1.2 for n, d in enumerate(case["latent"])]
    return value, [x.float() for x in noise]


@faithful
def test_log_weights_and_bound_are_the_reference_s(case):
    found = create(case).log_weights(*inputs(case))
    torch.testing.assert_close(found, torch.tensor(case["log_weights"]), atol=2e-5, rtol=2e-5)  # float32
    torch.testing.assert_close(importance_bound(found), torch.tensor(case["bound"]), atol=2e-5, rtol=2e-5)


@faithful
@pytest.mark.parametrize(("bound", "name"), [("importance", "iwae"), ("average", "vae")])
def test_gradients_are_the_reference_s(case, bound, name):
    method = create(case, bound)
    value, noise = inputs(case)
    {"importance": importance_bound, "average": average_bound}[bound](method.log_weights(value, noise)).sum().backward()
    found = [p.grad.T if p.ndim == 2 else p.grad for layer in linears(method) for p in (layer.weight, layer.bias)]
    assert len(found) == len(case[f"gradient_{name}"])
    for gradient, expected in zip(found, case[f"gradient_{name}"], strict=True):
        three = [gradient.sum(), gradient.square().sum(), gradient.flatten()[-1]]
        torch.testing.assert_close(torch.stack(three), torch.tensor(expected), atol=1e-4, rtol=1e-4)  # float32 sums


@faithful
def test_the_gradient_of_the_bound_weighs_each_sample_by_its_share():
    method, batch = tiny()
    value, noise = (batch["image"].flatten(1) > 0).float(), [torch.randn(4, 5, d) for d in (8, 4)]
    parameters = list(method.parameters())
    weights = method.log_weights(value, noise)
    by_hand = torch.autograd.grad((weights * weights.softmax(-1).detach()).sum(), parameters, retain_graph=True)
    for one, other in zip(torch.autograd.grad(importance_bound(weights).sum(), parameters), by_hand, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)  # float32 sums
    exact = (5 * torch.randn(6, 9, dtype=torch.float64)).requires_grad_()
    (found,) = torch.autograd.grad(importance_bound(exact).sum(), exact)
    torch.testing.assert_close(found, exact.softmax(-1), atol=1e-12, rtol=0)


@faithful
def test_one_sample_is_the_vae_with_sampled_divergence():
    encoder = StochasticEncoder(6, 1, 4, 8)
    weighted, plain = IWAE(encoder, samples=1), IWAE(encoder, samples=1, bound="average")
    plain.load_state_dict(weighted.state_dict())
    batch = {"image": torch.randn(4, 1, 6, 6)}
    context = [Context(generator=torch.Generator().manual_seed(3)) for _ in range(2)]
    assert weighted.losses(batch, context[0])["bound"] == plain.losses(batch, context[1])["bound"]
    value, noise = (torch.rand(4, 36) < 0.5).float(), torch.randn(4, 1, 4)
    posterior = encoder.layers[0](value.unsqueeze(1))
    code = posterior.at(noise)
    logits = weighted.decoder.pixels(code)
    by_hand = (value.unsqueeze(1) * logits - torch.nn.functional.softplus(logits)).sum(-1)
    by_hand = by_hand - (posterior.log_density(code) - standard_log_density(code))
    torch.testing.assert_close(weighted.log_weights(value, [noise]), by_hand)


def linear_gaussian(k, exact, draws=20_000):
    """Log weights of z ~ N(0, 1), x ~ N(2 z, 0.5^2) at x = 1.3, and log p(x)."""
    x, slope, noise = 1.3, 2.0, 0.25
    variance = 1 / (1 + slope**2 / noise)
    mean = variance * slope * x / noise
    sigma = math.sqrt(variance)
    mean, sigma = (mean, sigma) if exact else (mean + 0.3, 1.5 * sigma)
    posterior = Gaussian(*torch.tensor([[mean], [sigma]], dtype=torch.float64))
    generator = torch.Generator().manual_seed(0)
    z = posterior.at(torch.randn(draws, k, 1, generator=generator, dtype=torch.float64))
    seen = Gaussian(slope * z, torch.full_like(z, noise**0.5)).log_density(torch.tensor([x], dtype=torch.float64))
    weights = seen + standard_log_density(z) - posterior.log_density(z)
    evidence = -x * x / (2 * (slope**2 + noise)) - math.log(2 * math.pi * (slope**2 + noise)) / 2
    return weights, evidence


@faithful
def test_bounds_tighten_with_samples_up_to_the_evidence_of_a_linear_gaussian():
    found = {}
    for k in (1, 5, 50, 2000):
        weights, evidence = linear_gaussian(k, exact=False, draws=1000 if k == 2000 else 5000)
        found[k] = importance_bound(weights).mean().item()
    assert found[1] < found[5] < found[50] < evidence
    assert found[2000] == pytest.approx(evidence, abs=0.005)  # the gap is about var(w) / 2 k
    assert average_bound(weights).mean().item() == pytest.approx(found[1], abs=0.03)


@faithful
def test_under_the_exact_posterior_every_bound_is_the_evidence_without_variance():
    for k in (1, 5, 50):
        weights, evidence = linear_gaussian(k, exact=True, draws=100)
        torch.testing.assert_close(
            importance_bound(weights), torch.full((100,), evidence, dtype=torch.float64), atol=1e-9, rtol=0
        )


@faithful
def test_the_upper_layer_is_conditioned_on_the_sample_of_the_lower_one():
    method, batch = tiny()
    value, noise = (batch["image"].flatten(1) > 0).float(), [torch.randn(4, 5, d) for d in (8, 4)]
    lower, upper = method.encoder.layers
    first = lower(value.unsqueeze(1))
    code = first.at(noise[0])
    second = upper(code)
    top = second.at(noise[1])
    total = standard_log_density(top) + method.decoder.layers[0](top).log_density(code)
    total = total - first.log_density(code) - second.log_density(top)
    logits = method.decoder.pixels(code)
    total = total - torch.nn.functional.binary_cross_entropy_with_logits(
        logits, value.unsqueeze(1).expand_as(logits), reduction="none"
    ).sum(-1)
    torch.testing.assert_close(method.log_weights(value, noise), total)


@faithful
def test_the_likelihood_is_the_integral_over_the_codes():
    torch.manual_seed(1)
    method = IWAE(StochasticEncoder((1, 3), 1, 1, 4), PixelRange(-1.0, 1.0))
    with torch.no_grad():
        for part, factor in ((method.encoder, 0.1), (method.decoder, 3.0)):  # q is wide, and the code matters
            for p in part.parameters():
                p.mul_(factor)
        grid = torch.linspace(-8, 8, 4001).unsqueeze(-1)
        density = standard_log_density(grid).exp() * (grid[1] - grid[0])
        shares = method.decoder.pixels(grid).sigmoid()
        everything = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)))
        exact = torch.stack([(density * (1 - (x - shares).abs()).prod(-1)).sum() for x in everything]).log()
    batch = {"image": 2 * everything.reshape(8, 1, 1, 3) - 1}
    found = method.log_likelihood(batch, 4000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, exact, atol=0.03, rtol=0)  # Monte Carlo
    assert found.exp().sum().item() == pytest.approx(1, abs=0.01)
    assert likelihood(method, [batch], 200)["bits_per_dim"] > 0


def test_pixels_are_binary_and_drawn_anew_with_the_probability_of_their_grey():
    method = IWAE(StochasticEncoder(4, 1, 2, 4), PixelRange(0.0, 1.0), samples=1)
    seen = []
    method.log_weights = lambda value, noise, valid: seen.append(value) or torch.zeros(len(value), 1)
    for seed in range(2):
        method.losses(
            {"image": torch.full((500, 1, 4, 4), 0.3)}, Context(generator=torch.Generator().manual_seed(seed))
        )
    assert set(seen[0].unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(*seen)
    assert seen[0].mean().item() == pytest.approx(0.3, abs=0.02)  # 8,000 draws


def test_what_is_not_there_does_not_count():
    method, batch = tiny()
    valid = torch.ones(4, 6, 6, dtype=torch.bool)
    valid[:, 4:] = False
    found = [
        method.log_likelihood({"image": image, "image_valid": valid}, 20, torch.Generator().manual_seed(0))
        for image in (batch["image"], torch.where(valid.unsqueeze(1), batch["image"], 9.0))
    ]
    assert torch.equal(*found)


def test_a_unit_that_the_encoder_ignores_is_not_active():
    method, _ = tiny()
    with torch.no_grad():
        for p in (method.encoder.layers[1].mean.weight, method.encoder.layers[1].mean.bias):
            p[1:] = 0
            p[:1] *= 50
    lower, upper = method.posterior_means({"image": torch.randn(64, 1, 6, 6)}, torch.Generator().manual_seed(0))
    assert active_units(upper) == 1
    assert active_units(lower) == 8


def test_output_biases_start_at_the_mean_of_the_data():
    method = IWAE(StochasticEncoder(4, 2, 3, 5), PixelRange((-0.5, -3.0), (1.5, 1.0)))
    bias = method.decoder.pixels.logits.bias.sigmoid()
    torch.testing.assert_close(bias, torch.tensor([0.25] * 16 + [0.75] * 16))


def test_mistakes_give_one_sentence():
    with pytest.raises(ValueError, match="equally many"):
        StochasticEncoder(6, 1, (8, 4), (8, 4, 2))
    with pytest.raises(ValueError, match="choose one of importance, average"):
        IWAE(StochasticEncoder(6), bound="tight")
    method, batch = tiny()
    with pytest.raises(ValueError, match="takes no mask"):
        method.losses(batch, Context(), Mask.nothing(4, 9))
    with pytest.raises(ValueError, match="this encoder takes"):
        method.codes({"image": torch.zeros(2, 1, 5, 6)})


@pytest.mark.works("iwae")
@pytest.mark.usefixtures("without_drawing")
def test_digits_become_more_likely_from_the_command_line(tmp_path, capsys):
    options = ["--batch", 20, "--set", "samples=3", "--set", "latent=4,2", "--set", "hidden=16,8", "--quiet"]
    common = ["digits", "--method", "iwae", "--limit", 200, *options]
    assert unmask("pretrain", *common, "--steps", 30, "--monitor-every", 30, "--out", tmp_path / "run") == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    held = [row for row in rows if row["kind"] == "held_out"]
    assert held[-1]["log_likelihood"] > held[0]["log_likelihood"]
    assert {"bits_per_dim", "active_units/2", "reconstruction", "rankme", "knn/04"} <= set(held[-1])
    capsys.readouterr()
    assert unmask("evaluate", tmp_path / "run", "--with", "likelihood,knn", "--samples", 5, "--limit", 40) == 0
    assert "bits per dimension" in capsys.readouterr().out
