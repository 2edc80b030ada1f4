"""MTO: what its abstract says, and closed forms of the terms that were chosen for it. Not compared with the paper."""

import math

import pytest
import torch

from formulas import formula_noise, pictures
from small_run import make_pictures, pretrain, unmask, without_drawing  # noqa: F401
from unmask.core import Context, Mask
from unmask.methods.mae import MAE
from unmask.methods.mto import MTO, heterogeneity, on_visible, roughness
from unmask.parts.masks.random import random_mask
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.transformer import Record
from unmask.parts.nets.vit import ViT

works = pytest.mark.works("mto")
NONE = {"sparsity": 0.0, "singularity": 0.0, "smoothness": 0.0}


def create(**settings) -> MTO:
    torch.manual_seed(0)
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    return MTO(encoder, TokenDecoder(encoder, 16, 3, 2), **settings)


def half(b=2) -> Mask:
    return random_mask(formula_noise(b, 16), 0.5)


def test_without_weights_it_is_mae_bit_for_bit():
    method, batch, context = create(**NONE), {"image": pictures(2, 3, 16, 16)}, Context()
    terms = method.losses(batch, context, half())
    host = MAE(method.encoder, method.decoder).losses(batch, context, half())
    assert list(terms) == ["reconstruction"]
    assert torch.equal(terms["reconstruction"], host["reconstruction"])


def test_only_the_mask_token_learns_from_singularity_and_loses_its_likeness_to_data():
    method, batch = create(), {"image": pictures(2, 3, 16, 16)}
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


def share_on_visible(method, batch) -> float:
    record = Record()
    method.predict(batch, half(8), record)
    likeness = method.likeness(record.tokens[0][:, 1:], None)
    return on_visible(likeness, half(8).hidden).item()


def test_trained_with_the_terms_mask_tokens_are_less_like_data_after_the_first_block():
    found = {}
    for weight in (0.0, 1.0):
        method, batch = create(sparsity=weight, singularity=weight, smoothness=0.0), {"image": pictures(8, 3, 16, 16)}
        optimiser = torch.optim.Adam(method.parameters(), lr=2e-3)
        for _ in range(25):
            optimiser.zero_grad()
            sum(method.losses(batch, Context(), half(8)).values()).backward()
            optimiser.step()
        found[weight] = share_on_visible(method, batch)
    assert found[1.0] < 0.8 * found[0.0]


@works
def test_padding_has_no_influence():
    method, image = create(), pictures(2, 3, 8, 12)
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


@works
@pytest.mark.usefixtures("without_drawing")
def test_it_trains_is_looked_at_and_measured_from_the_command_line(tmp_path):
    data, run = make_pictures(tmp_path / "data"), tmp_path / "run"
    assert pretrain(data, run, "--method", "mto", "--steps", 2, "--monitor-every", 2) == 0
    assert unmask("view", run, "--out", tmp_path / "view.png") == 0
    assert unmask("evaluate", run, "--with", "knn") == 0
