"""TBM: the boosted feature is the expected clean one in closed form, and without modules the host is left as it was."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from formulas import formula_noise, pictures
from small_run import make_pictures, pretrain, unmask, without_drawing  # noqa: F401
from unmask.core import Context
from unmask.methods.mae import MAE
from unmask.methods.tbm import TBM
from unmask.parts.masks.random import random_mask
from unmask.parts.nets.booster import Booster, Boosters, BoostRecord, Residual
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT

faithful, works = pytest.mark.faithful("tbm"), pytest.mark.works("tbm")
MANY = 200_000


def drawn(seed=0, **values) -> Context:
    return Context(generator=torch.Generator().manual_seed(seed), **values)


def exact(recovery: torch.Tensor, deviation: torch.Tensor) -> Booster:
    """A module whose autoencoder is this matrix and whose noise has this deviation per channel."""
    booster, width = Booster(len(recovery)), len(recovery)
    booster.recover = nn.Linear(width, width, bias=False)
    with torch.no_grad():
        booster.recover.weight.copy_(recovery)
        booster.scale.copy_(deviation.expm1().log())
    return booster


@faithful
def test_without_noise_and_with_an_exact_autoencoder_it_is_the_identity():
    x = pictures(2, 5, 4)
    record = BoostRecord(context=drawn())
    found = exact(torch.eye(4), torch.full((4,), 1e-9))(x, None, record)
    torch.testing.assert_close(found, x, rtol=0, atol=1e-6)
    assert record.terms[0].item() == pytest.approx(0, abs=1e-10)


@faithful
@pytest.mark.parametrize("s", [0.25, 0.5, 1.0, 2.0])
def test_the_error_of_a_scalar_is_2s_over_1_plus_2s(s):
    """R of variance 1, corruption and noise of variance s, the autoencoder the best linear one."""
    clean = pictures(1, MANY, 1)
    corrupted = clean + s**0.5 * pictures(1, MANY, 1, seed=1)
    recovery = torch.tensor([[(1 + s) / (1 + 2 * s)]])
    record = BoostRecord(context=drawn(2))
    found = exact(recovery, torch.tensor([s**0.5]))(corrupted, None, record)
    error = (found - clean).square().mean().item()
    assert error == pytest.approx(2 * s / (1 + 2 * s), rel=0.02)  # of 200,000 draws
    before = (corrupted - clean).square().mean().item()
    assert (error < before) == (s > 0.5) or s == 0.5
    assert record.terms[0].item() == pytest.approx(s * (1 + s) / (1 + 2 * s), rel=0.02)


@faithful
def test_the_boosted_feature_is_the_expected_clean_one_for_any_covariances():
    """E[F | I] = (R + U) (R + 2 U)^-1 I for Gaussians, so 2 E[F | I] - I = R (R + 2 U)^-1 I = E[R | I]."""
    square = pictures(3, 3)
    clean = square @ square.T + torch.eye(3)
    spread = torch.tensor([0.4, 1.0, 2.5])
    total = torch.linalg.inv(clean + 2 * spread.diag())
    booster = exact((clean + spread.diag()) @ total, spread.sqrt())
    x = pictures(1, 7, 3, seed=1)
    noisy, recovered = booster.recovered(x, pictures(1, 7, 3, seed=2))
    torch.testing.assert_close(2 * recovered - noisy, noisy @ (clean @ total).T, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(noisy, x + spread.sqrt() * pictures(1, 7, 3, seed=2))


@faithful
def test_without_the_factor_2_the_corruption_stays():
    clean = pictures(1, MANY, 1)
    corrupted = clean + pictures(1, MANY, 1, seed=1)
    _, recovered = exact(torch.tensor([[2 / 3]]), torch.ones(1)).recovered(corrupted, pictures(1, MANY, 1, seed=2))
    assert (recovered - clean).square().mean().item() == pytest.approx(1.0, rel=0.02)  # boosted: 2 / 3


@faithful
def test_both_terms_reach_the_size_of_the_noise_and_the_encoder_s_features():
    booster, x = Booster(8), pictures(2, 5, 8).requires_grad_()
    record = BoostRecord(context=drawn())
    out = booster(x, None, record)
    for term in (out.square().mean(), record.terms[0]):
        slopes = torch.autograd.grad(term, [booster.scale, x], retain_graph=True)
        assert all(slope.abs().sum() > 0 for slope in slopes)
    torch.testing.assert_close(F.softplus(booster.scale), torch.full((8,), 0.1))


def test_detached_features_are_not_pulled_towards_what_is_recovered():
    """The slope of |F - g(F + Q)|^2 at F loses its direct part, 2 (F - g) / size."""
    x, slopes = pictures(2, 5, 8).requires_grad_(), {}
    for detach in (False, True):
        torch.manual_seed(0)
        booster, record = Booster(8, detach=detach), BoostRecord(context=drawn())
        booster(x, None, record)
        slopes[detach] = torch.autograd.grad(record.terms[0], x)[0]
    noise = pictures(2, 5, 8)  # the same draw as of the context
    direct = 2 * (x - booster.recovered(x, noise)[1]) / x.numel()
    torch.testing.assert_close(slopes[False] - slopes[True], direct, rtol=1e-4, atol=1e-6)


def test_padding_tokens_do_not_count_in_the_error():
    booster, x = Booster(8), pictures(2, 5, 8)
    valid = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    errors = []
    for other in (x, torch.where(valid.unsqueeze(-1), x, 50.0)):
        record = BoostRecord(context=drawn())
        booster(other, valid, record)
        errors.append(record.terms[0])
    torch.testing.assert_close(*errors)


def create(boosters=None, **settings) -> TBM:
    torch.manual_seed(0)
    encoder = ViT("16x4x2", image_size=16, patch_size=4)
    return TBM(encoder, TokenDecoder(encoder, 16, 1, 2), boosters, **settings)


@faithful
def test_without_modules_and_corruption_it_is_mae_bit_for_bit():
    method, batch = create(Boosters(count=0), corrupt=False), {"image": pictures(2, 3, 16, 16)}
    mask = random_mask(formula_noise(2, 16), 0.75)
    host = MAE(method.encoder, method.decoder)
    assert torch.equal(
        method.losses(batch, drawn(), mask)["reconstruction"], host.losses(batch, drawn(), mask)["reconstruction"]
    )
    assert list(method.losses(batch, drawn(), mask)) == ["reconstruction"]


def test_modules_stand_at_the_quarters_and_add_few_weights():
    encoder = create().encoder
    assert list(encoder.trunk.between) == ["1", "2", "3"]
    block, module = (
        sum(p.numel() for p in part.parameters()) for part in (encoder.trunk.blocks[0], encoder.trunk.between["1"])
    )
    assert module < 0.15 * block
    control = create(Boosters("residual")).encoder.trunk.between["1"]
    assert isinstance(control, Residual)
    assert sum(p.numel() for p in control.parameters()) == module - encoder.width  # but for the sizes of the noise
    with pytest.raises(ValueError, match="5 modules cannot stand after 4 blocks"):
        create(Boosters(count=5))


def test_the_host_sees_and_predicts_corrupted_pictures_only():
    method, seen = create(), []
    method.encoder.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    image = pictures(4, 3, 16, 16)
    method.losses({"image": image}, drawn(), random_mask(formula_noise(4, 16), 0.75))
    assert torch.equal(seen[0], method.corrupted({"image": image}, drawn()))
    assert all((one - other).abs().max() > 1e-3 for one, other in zip(seen[0], image, strict=True))


@works
@pytest.mark.parametrize("draws", [0, 3])
def test_features_are_the_same_alone_and_in_a_batch(draws):
    method, image = create(Boosters(draws=draws)).eval(), pictures(3, 3, 16, 16)
    together = method.features({"image": image}).pooled
    torch.testing.assert_close(together[1:2], method.features({"image": image[1:2]}).pooled, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong", [{"count": -1}, {"draws": -2}, {"scale": 0.0}, {"kind": "push"}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        Boosters(**wrong)


@works
@pytest.mark.usefixtures("without_drawing")
def test_it_trains_is_looked_at_and_measured_from_the_command_line(tmp_path):
    data, run = make_pictures(tmp_path / "data"), tmp_path / "run"
    plan = ["--steps", 2, "--monitor-every", 2, "--set", "boosters_count=2"]
    assert pretrain(data, run, "--method", "tbm", *plan) == 0
    assert unmask("view", run, "--out", tmp_path / "view.png") == 0
    assert unmask("evaluate", run, "--with", "knn") == 0
