"""MTO: what its abstract says, and closed forms of the terms that were chosen for it. Not compared with the paper."""

import math

import pytest
import torch

from formulas import formula_noise, pictures
from small_run import make_pictures, pretrain, unmask, without_drawing  # noqa: F401
from unmask.core import Context, Mask
from unmask.methods.mae import MAE
from unmask.methods.mto import HOSTS, MTO, heterogeneity, on_visible, roughness
from unmask.parts.losses.masked import masked_mse
from unmask.parts.masks.random import random_mask
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.transformer import Record
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.patches import patchify

works = pytest.mark.works("mto")
faithful = pytest.mark.faithful("mto")  # to what its abstract says: there is no formula to compare with
NONE = {"sparsity": 0.0, "singularity": 0.0, "smoothness": 0.0}


def create(**settings) -> MTO:
    """The decoder of the host SimMIM is a linear head of its own."""
    torch.manual_seed(0)
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    return MTO(encoder, TokenDecoder(encoder, 16, 3, 2), **settings)


def half(b=2) -> Mask:
    return random_mask(formula_noise(b, 16), 0.5)


@faithful
def test_without_weights_it_is_mae_bit_for_bit():
    method, batch, context = create(**NONE), {"image": pictures(2, 3, 16, 16)}, Context()
    terms = method.losses(batch, context, half())
    host = MAE(method.encoder, method.decoder).losses(batch, context, half())
    assert list(terms) == ["reconstruction"]
    assert torch.equal(terms["reconstruction"], host["reconstruction"])


@faithful
def test_without_weights_and_with_mask_tokens_in_the_encoder_a_linear_head_predicts_bit_for_bit():
    method, batch, mask = create(host="simmim", **NONE), {"image": pictures(2, 3, 16, 16)}, half()
    terms = method.losses(batch, Context(), mask)
    assert list(terms) == ["reconstruction"]
    encoder, head = method.encoder, method.decoder
    patches = encoder.embed(patchify(batch["image"], 4))
    covered = torch.where(mask.hidden.unsqueeze(-1), head.mask_token, patches) + encoder.positions((4, 4))
    prediction = head.head(encoder.trunk(torch.cat([encoder.class_token.expand(2, -1, -1), covered], 1))[:, 1:])
    assert torch.equal(terms["reconstruction"], masked_mse(prediction, method.target(batch).values, mask.hidden))
    assert torch.equal(method.predict(batch, mask), prediction)


@faithful
@pytest.mark.parametrize("host", HOSTS)
def test_only_the_mask_token_learns_from_singularity_and_loses_its_likeness_to_data(host):
    method, batch = create(host=host), {"image": pictures(2, 3, 16, 16)}
    term = method.losses(batch, Context(), half())["singularity"]
    names, parameters = zip(*method.named_parameters(), strict=True)
    slopes = torch.autograd.grad(term, parameters, allow_unused=True)
    assert [n for n, g in zip(names, slopes, strict=True) if g is not None] == ["decoder.mask_token"]
    optimiser = torch.optim.Adam([method.decoder.mask_token], lr=1e-2)
    for _ in range(50):
        optimiser.zero_grad()
        now = method.losses(batch, Context(), half())["singularity"]
        now.backward()
        optimiser.step()
    assert now < 0.5 * term


def test_likeness_terms_by_hand():
    hidden = torch.tensor([[True, True, False, False]])
    even, single = torch.full((1, 4, 4), 1 / 3), torch.zeros(1, 4, 4)
    even[0, range(4), range(4)] = 0
    single[0, [0, 1, 2, 3], [1, 0, 3, 2]] = 1
    assert on_visible(even, hidden).item() == pytest.approx(2 / 3)
    assert on_visible(single, hidden).item() == 0
    assert heterogeneity(even, hidden).item() == pytest.approx(0, abs=1e-6)
    assert heterogeneity(single, hidden).item() == pytest.approx(1)
    two = torch.tensor([[[0, 0.5, 0.5, 0]]]).expand(1, 4, 4)
    assert heterogeneity(two, hidden).item() == pytest.approx(1 - math.log(2) / math.log(3))
    assert roughness(torch.tensor([0.9, 0.6, 0.3])).item() == pytest.approx(0, abs=1e-12)  # falls evenly
    assert roughness(torch.tensor([0.3, 0.5, 0.5])).item() == pytest.approx(0.2**2 + 0.2**2)


def after_the_first_block(method, batch) -> tuple[float, float]:
    """The share of mask tokens' likeness that falls on data, and their heterogeneity."""
    record, hidden = Record(), half(8).hidden
    method.predict(batch, half(8), record)
    likeness = method.likeness(record.tokens[0][:, method.encoder.prefix :], None)
    return on_visible(likeness, hidden).item(), heterogeneity(likeness, hidden).item()


@faithful
@pytest.mark.parametrize("host", HOSTS)
def test_trained_with_the_terms_mask_tokens_are_less_like_data_after_the_first_block(host):
    found = {}
    for weight in (0.0, 1.0):
        terms = {"sparsity": weight, "singularity": weight, "smoothness": 0.0}
        method, batch = create(host=host, **terms), {"image": pictures(8, 3, 16, 16)}
        optimiser = torch.optim.Adam(method.parameters(), lr=2e-3)
        for _ in range(25):
            optimiser.zero_grad()
            sum(method.losses(batch, Context(), half(8)).values()).backward()
            optimiser.step()
        found[weight] = after_the_first_block(method, batch)
    assert found[1.0][0] < 0.8 * found[0.0][0]
    assert found[1.0][1] > found[0.0][1], "more heterogeneous"


@works
@pytest.mark.parametrize("host", HOSTS)
def test_padding_has_no_influence(host):
    method, image = create(host=host), pictures(2, 3, 8, 12)
    canvas, valid = torch.zeros(2, 3, 16, 16), torch.zeros(2, 16, 16, dtype=torch.bool)
    canvas[..., :8, :12], valid[:, :8, :12] = image, True
    own = formula_noise(2, 6).reshape(2, 2, 3) > 0.5
    places, hidden = torch.zeros(2, 2, 4, 4, dtype=torch.bool)
    places[:, :2, :3], hidden[:, :2, :3] = True, own
    alone = method.losses({"image": image}, Context(), Mask.of(own.flatten(1)))
    padded = method.losses(
        {"image": canvas, "image_valid": valid}, Context(), Mask.of(hidden.flatten(1), places.flatten(1))
    )
    for name, value in alone.items():
        assert padded[name].item() == pytest.approx(value.item(), rel=1e-4, abs=1e-6), name


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"temperature 0\.0 must lie above 0"):
        create(temperature=0.0)
    with pytest.raises(ValueError, match="host 'beit' is unknown"):
        create(host="beit")


@works
@pytest.mark.usefixtures("without_drawing")
def test_it_trains_is_looked_at_and_measured_from_the_command_line(tmp_path):
    data, run = make_pictures(tmp_path / "data"), tmp_path / "run"
    more = ["--set", "host=simmim", "--steps", 2, "--monitor-every", 2]
    assert pretrain(data, run, "--method", "mto", *more) == 0
    assert unmask("view", run, "--out", tmp_path / "view.png") == 0
    assert unmask("evaluate", run, "--with", "knn") == 0
