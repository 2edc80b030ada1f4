"""WAE: equal to its released code on the same weights and inputs; what its penalty sees and what it does not."""

import json
import math
import shutil

import pytest
import torch
import torch.nn.functional as F

from formulas import recorded, wave
from small_run import make_pictures, unmask, without_drawing  # noqa: F401
from unmask.core import Context
from unmask.methods.wae import ADVERSARY, COST, RECIPE, WAE, Codes, tiny, truncated_normal
from unmask.parts.latents.adversary import LatentAdversary, being_taken_for, telling_apart
from unmask.parts.latents.discrepancy import inverse_multiquadratic, moment_gap, radial
from unmask.parts.latents.gaussian import standard_divergence
from unmask.parts.latents.prior import Prior
from unmask.parts.nets.dcgan import ConvDecoder, ConvEncoder
from unmask.train.checkpoint import newest, state_hash
from unmask.train.engine import Engine
from unmask.train.plan import make_plan

faithful = pytest.mark.faithful("wae")

# How wae_reference.json was made: see its entry "how"; `wave` below is the formula of its weights and inputs.
REFERENCE = recorded(__file__, "wae_reference.json")


def codes_and_draws():
    return wave(30, 0.2).reshape(6, 5) * 1.3, wave(30, 1.1).reshape(6, 5)


def gan(**more) -> WAE:
    encoder = ConvEncoder(image_size=16, latent=4, width=16, layers=2, kernel=4)
    return WAE(encoder, adversary=LatentAdversary(encoder, 16, 2, **more), penalty="gan", strength=10.0)


def context(phase="main", seed=0, progress=0.5):
    return Context(progress=progress, phase=phase, generator=torch.Generator().manual_seed(seed))


@faithful
@pytest.mark.parametrize("case", REFERENCE["mmd"])
def test_the_discrepancy_is_the_reference_s(case):
    kind, _, scale = case.partition(", scale ")
    found = inverse_multiquadratic(*codes_and_draws(), Prior(kind, float(scale or 1)).distance(5))
    assert found.item() == pytest.approx(REFERENCE["mmd"][case], abs=1e-9)


@faithful
def test_radial_discrepancy_and_pretraining_are_the_reference_s():
    assert radial(*codes_and_draws()).item() == pytest.approx(REFERENCE["mmd_radial"], abs=1e-9)
    assert moment_gap(*codes_and_draws()).item() == pytest.approx(REFERENCE["pretraining"], abs=1e-9)


@faithful
@pytest.mark.parametrize("known", [True, False])
def test_the_game_in_the_space_of_codes_is_the_reference_s(known):
    expected = REFERENCE[f"gan, known prior {known}"]
    adversary = LatentAdversary(ConvEncoder(8, latent=5, width=8, layers=2), 6, 2, known, crossed=known)
    with torch.no_grad():
        for number, layer in enumerate([*adversary.layers, adversary.head]):
            outputs, inputs = layer.weight.shape
            weight = wave(inputs * outputs, 2 * number).reshape(inputs, outputs).T
            layer.weight.copy_(weight * (2 / inputs) ** 0.5)
            layer.bias.copy_(0.1 * wave(outputs, 2 * number + 1))
    codes, drawn = (x.float() for x in codes_and_draws())
    assert list(adversary(drawn).shape)[:1] == expected["shape"][:1]
    loss = 100 * telling_apart(adversary(drawn), adversary(codes))
    assert loss.item() == pytest.approx(expected["telling_apart"], rel=1e-5)
    assert being_taken_for(adversary(codes)).item() == pytest.approx(expected["being_taken_for"], rel=1e-5)
    adversary.crossed = False  # as the paper has it: every code with its own density
    torch.testing.assert_close(adversary(codes), torch.tensor(expected["logits"]), atol=1e-5, rtol=1e-5)


@faithful
@pytest.mark.parametrize("kernel", [5, 4])
def test_networks_and_cost_are_the_reference_s(kernel):
    expected = REFERENCE[f"networks, kernel {kernel}"]
    encoder = ConvEncoder(8, 3, latent=5, width=8, layers=2, kernel=kernel)
    method = WAE(encoder, ConvDecoder(encoder))
    tensors = {name: formula(shape, place) for place, (name, shape) in enumerate(expected["variables"])}
    fill(method, tensors)
    image = wave(4 * 8 * 8 * 3, 0.4).reshape(4, 8, 8, 3).permute(0, 3, 1, 2).float()
    code = encoder(image)[0]
    torch.testing.assert_close(code, torch.tensor(expected["code"]), atol=1e-4, rtol=1e-4)  # float32 after norms
    back = 2 * method.decode(code) - 1
    torch.testing.assert_close(
        back[1, :, 2].T.contiguous(), torch.tensor(expected["reconstruction"]), atol=1e-4, rtol=1e-4
    )
    method.encode = lambda image, context: Codes(code, code, None)
    cost = method.losses({"image": image}, context())["reconstruction"]  # the range of the pixels is -1 to 1 already
    assert cost.item() == pytest.approx(expected["cost"], rel=1e-4)


def formula(shape, place):
    values = wave(math.prod(shape), place).reshape(shape)
    return 0.1 * values if len(shape) == 1 else values * (2 / math.prod(shape[:-1])) ** 0.5


@torch.no_grad()
def fill(method, tensors):
    """The reference's variables in our networks: filters HWIO, pictures NHWC."""
    stages = [("encoder/h0", method.encoder.stages[0]), ("encoder/h1", method.encoder.stages[1])]
    for name, stage in [*stages, ("generator/h0", method.decoder.stages[0])]:
        stage.norm.weight.copy_(1 + tensors[f"{name}_bn/gamma"])
        stage.norm.bias.copy_(tensors[f"{name}_bn/beta"])
    for name, stage in stages:
        stage.conv.weight.copy_(tensors[f"{name}_conv/filter"].permute(3, 2, 0, 1))
        stage.conv.bias.copy_(tensors[f"{name}_conv/b"])
    for name, deconv in (("h0", method.decoder.stages[0].conv), ("hfinal", method.decoder.last)):
        deconv.conv.weight.copy_(tensors[f"generator/{name}_deconv/filter"].permute(3, 2, 0, 1))
        deconv.conv.bias.copy_(tensors[f"generator/{name}_deconv/b"])
    method.encoder.code.weight.copy_(tensors["encoder/hfinal_lin/W"].reshape(2, 2, 8, 5).permute(3, 2, 0, 1).flatten(1))
    method.encoder.code.bias.copy_(tensors["encoder/hfinal_lin/b"])
    spread = tensors["generator/h0_lin/W"].reshape(5, 4, 4, 8).permute(3, 1, 2, 0).flatten(0, 2)
    method.decoder.spread.weight.copy_(spread)
    method.decoder.spread.bias.copy_(tensors["generator/h0_lin/b"].reshape(4, 4, 8).permute(2, 0, 1).flatten())


@faithful
@pytest.mark.parametrize("kind", ["normal", "sphere", "uniform"])
def test_two_samples_of_the_prior_have_no_discrepancy_on_average(kind):
    generator, prior = torch.Generator().manual_seed(0), Prior(kind)
    found = torch.stack(
        [
            inverse_multiquadratic(
                *(prior.draw(torch.randn(20, 4, generator=generator)) for _ in range(2)), prior.distance(4)
            )
            for _ in range(400)
        ]
    )
    error = found.std() / 20
    assert abs(found.mean()) < 3 * error
    assert found.min() < 0  # it is not biased, so it falls below 0 as well


@faithful
def test_only_all_codes_together_are_matched():
    generator = torch.Generator().manual_seed(0)
    drawn, others = (torch.randn(256, 8, generator=generator) for _ in range(2))
    points = others[torch.randperm(256, generator=generator)]
    distance = Prior().distance(8)
    near = inverse_multiquadratic(points, drawn, distance)
    assert abs(near) < 0.02
    assert inverse_multiquadratic(torch.zeros(256, 8), drawn, distance) > 1
    assert inverse_multiquadratic(0.5 * points, drawn, distance) > 5 * abs(near)
    narrow = torch.full((256, 8), -60.0)  # point masses: the divergence of every single code grows without bound
    assert standard_divergence(points, narrow).mean() > 200


@faithful
def test_the_adversarial_variant_is_an_adversarial_autoencoder():
    method, (_, batch) = gan(known_prior=False), tiny()
    method.eval()  # no noise on the pixels, and norms that do not depend on the call
    parameters = [p for part in (method.encoder, method.decoder) for p in part.parameters()]
    mine = sum(method.losses(batch, context()).values())
    image = 2 * method.pixels(batch["image"]) - 1
    code = method.encoder(image)[0]
    squared = (method.decoder(code).tanh() - image).square().flatten(1).sum(1).mean()
    judged = F.binary_cross_entropy_with_logits(method.adversary(code), torch.ones(len(code)))
    theirs = COST * squared + 10.0 * judged
    for one, other in zip(torch.autograd.grad(mine, parameters), torch.autograd.grad(theirs, parameters), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
    drawn = torch.Generator().manual_seed(0)
    real = torch.randn(6, 4, generator=drawn)
    labels = torch.cat([torch.ones(6), torch.zeros(6)])
    logits = method.adversary(torch.cat([real, code.detach()]))
    theirs = 2 * 10.0 * F.binary_cross_entropy_with_logits(logits, labels)
    mine = method.losses(batch, context(ADVERSARY))["telling_apart"]
    torch.testing.assert_close(mine, theirs)


@faithful
def test_the_adversary_learns_in_its_own_phase_only_and_the_penalty_does_not_reach_the_decoder():
    method, (_, batch) = gan(), tiny()
    terms = method.losses(batch, context())
    decoder = torch.autograd.grad(
        terms["penalty"], list(method.decoder.parameters()), allow_unused=True, retain_graph=True
    )
    assert all(gradient is None for gradient in decoder)
    apart = method.losses(batch, context(ADVERSARY))["telling_apart"]
    others = [*method.encoder.parameters(), *method.decoder.parameters()]
    assert all(g is None for g in torch.autograd.grad(apart, others, allow_unused=True, retain_graph=True))
    first, second = method.phases()
    assert not {id(p) for p in first.parameters} & {id(p) for p in second.parameters}
    plan = make_plan(RECIPE, 60, steps=5, batch=6, precision="fp32")
    engine = Engine(method, plan, torch.device("cpu"))
    engine.optimisers[1].step = lambda: None  # the adversary's own phase left out
    before = {n: p.clone() for n, p in method.named_parameters()}
    engine.step([batch], [context()], 1e-3)
    changed = {n.split(".")[0] for n, p in method.named_parameters() if not torch.equal(p, before[n])}
    assert changed == {"encoder", "decoder"}
    assert [group["lr"] for group in engine.optimisers[1].param_groups] == pytest.approx([1e-2 / 3] * 2)


def test_each_phase_of_the_adversarial_variant_lowers_its_own_sum():
    method, (_, batch) = gan(), tiny()
    for phase in method.phases():
        optimiser = torch.optim.Adam(phase.parameters, lr=1e-3)
        before = sum(method.losses(batch, context(phase.name)).values())
        gradients = torch.autograd.grad(before, phase.parameters, allow_unused=True)
        assert all(g is not None for g in gradients)
        for _ in range(20):
            optimiser.zero_grad()
            sum(method.losses(batch, context(phase.name)).values()).backward(inputs=list(phase.parameters))
            optimiser.step()
        assert sum(method.losses(batch, context(phase.name)).values()) < before


def test_at_first_the_encoder_alone_learns_the_moments_of_the_prior():
    method, batch = tiny()
    terms = method.losses(batch, context(progress=0.0))
    assert set(terms) == {"moments", "reconstruction"}
    gradients = torch.autograd.grad(sum(terms.values()), list(method.decoder.parameters()), retain_graph=True)
    assert all(not g.any() for g in gradients)
    assert set(method.losses(batch, context(progress=0.01))) == {"reconstruction", "penalty"}
    assert set(method.eval().losses(batch, context(progress=0.0))) == {"reconstruction", "penalty"}


def test_the_divergence_of_every_code_needs_a_spread_and_makes_it_a_vae():
    encoder = ConvEncoder(image_size=16, latent=4, width=16, layers=2, kernel=4, spread=True)
    method, (_, batch) = WAE(encoder, penalty="kl", strength=1.0).eval(), tiny()
    mean, log_variance = encoder(2 * method.pixels(batch["image"]) - 1)
    terms = method.losses(batch, context())
    by_hand = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (log_variance / 2).exp()), torch.distributions.Normal(0.0, 1.0)
    )
    torch.testing.assert_close(terms["penalty"], by_hand.sum(-1).mean())
    assert not torch.equal(terms["reconstruction"], method.losses(batch, context(seed=1))["reconstruction"])


def test_noise_is_cut_off_at_two_deviations():
    found = truncated_normal(torch.rand(20_000, generator=torch.Generator().manual_seed(0)))
    assert found.abs().max() <= 2
    assert found.std().item() == pytest.approx(0.88, abs=0.02)  # of a normal variable cut at 2


def test_what_is_not_there_does_not_count():
    method, batch = tiny()
    valid = torch.ones(6, 16, 16, dtype=torch.bool)
    valid[:, 10:] = False
    spoiled = torch.where(valid.unsqueeze(1), batch["image"], 5.0)
    found = [
        method.losses({"image": image, "image_valid": valid}, context())["reconstruction"]
        for image in (batch["image"], spoiled)
    ]
    assert torch.equal(*found)


def test_mistakes_give_one_sentence():
    encoder = ConvEncoder(image_size=16, latent=4, width=16, layers=2)
    with pytest.raises(ValueError, match="choose one of mmd"):
        WAE(encoder, penalty="wasserstein")
    with pytest.raises(ValueError, match="set spread=true"):
        WAE(encoder, penalty="kl")
    with pytest.raises(ValueError, match="adversary_known_prior=false"):
        WAE(encoder, prior=Prior("sphere"), penalty="gan")
    with pytest.raises(ValueError, match="batch of at least 2"):
        WAE(encoder).losses({"image": torch.zeros(1, 3, 16, 16)}, context())


NETWORK = ["width=16", "latent=4", "layers=2", "adversary_width=16", "adversary_layers=2"]


@pytest.mark.works("wae")
@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("penalty", ["mmd", "gan"])
def test_pictures_are_learned_and_a_resumed_run_is_the_same(tmp_path, penalty):
    data = make_pictures(tmp_path / "data", count=40)
    settings = [word for pair in (*NETWORK, f"penalty={penalty}") for word in ("--set", pair)]
    options = ["--method", "wae", "--batch", 8, "--quiet", "--save-every", 4, "--monitor-every", 12, *settings]
    for name in ("whole", "broken"):
        assert unmask("pretrain", data, "--steps", 12, "--out", tmp_path / name, *options) == 0
    rows = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    held = [row for row in rows if row["kind"] == "held_out"]
    assert held[-1]["loss/reconstruction"] < held[0]["loss/reconstruction"]
    assert {"loss/penalty", "reconstruction", "active_units/1", "rankme", "feature_std", "knn/03"} <= set(held[-1])
    last = newest(tmp_path / "broken")
    shutil.rmtree(last.path)
    assert newest(tmp_path / "broken").step == 8
    assert unmask("resume", tmp_path / "broken", "--quiet") == 0
    one, other = (newest(tmp_path / name) for name in ("whole", "broken"))
    assert one.step == other.step == 12
    assert set(one.sections) == set(other.sections)
    for section in one.sections:
        assert state_hash(one.tensors(section)) == state_hash(other.tensors(section)), section
