"""MixedAE: pictures are mixed and divided again exactly, tokens find their own, and every part can be left out."""

import pytest
import torch

from formulas import pictures
from small_run import without_drawing  # noqa: F401
from unmask.app.catalogue import create
from unmask.core import Context, Mask
from unmask.methods.mixed_ae import tiny
from unmask.parts.losses.masked import masked_mse
from unmask.parts.losses.supervised_contrast import supervised_contrast
from unmask.parts.nets.transformer import Record
from unmask.parts.ops.patches import patchify, unpatchify
from whole_run import run_and_look

faithful, works = pytest.mark.faithful("mixed_ae"), pytest.mark.works("mixed_ae")
SIZES = {"image_size": 16, "patch_size": 4, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
NAIVE = {"strength": 0.0, "selective": False, "segments": False}


def context(seed: int = 0) -> Context:
    return Context(generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def mixture():
    method, batch = tiny()
    return method, batch, method.sampler(method, batch, context())


@faithful
def test_dividing_a_mixture_gives_every_picture_its_patches_back(mixture):
    method, batch, mask = mixture
    patches = patchify(batch["image"], 4)
    mixed = method.mix(batch, mask)
    assert mixed.shape == (2, 16, 48)
    assert mask.count == 4
    padded = torch.cat([torch.zeros(2, 1, 48), mixed], dim=1)  # a class token stands before the places
    assert torch.equal(method.divide(padded, mask)[:, 1:], mask.visible(patches))


@faithful
def test_the_loss_is_mae_s_on_what_each_picture_lost_and_the_contrast_of_the_mixture(mixture):
    method, batch, mask = mixture
    tokens, (owner, _) = method.encode(batch, mask), method.owners(batch, mask)
    prediction = method.decoder(method.divide(tokens, mask), mask, (4, 4))
    terms = method.losses(batch, context())
    expected = masked_mse(prediction, method.target(batch).values, mask.hidden)
    assert terms["reconstruction"].item() == pytest.approx(expected.item(), abs=1e-6)
    expected = 0.1 * supervised_contrast(method.projector(tokens[:, 1:]), owner, 0.25)
    assert terms["contrast"].item() == pytest.approx(expected.item(), abs=1e-6)


@faithful
def test_hidden_pixels_do_not_reach_the_mixture(mixture):
    method, batch, mask = mixture
    noise = unpatchify(mask.hidden.unsqueeze(-1) * pictures(8, 16, 48, seed=1), (4, 4), 4)
    assert torch.equal(method.mix({"image": batch["image"] + noise}, mask), method.mix(batch, mask))


@faithful
def test_every_query_mixes_as_many_keys_as_its_picture_has_patches_and_the_class_token(mixture):
    method, batch, mask = mixture
    record = Record(attention=True)
    method.encode(batch, mask, record)
    assert len(record.maps) == 2
    assert all((weights > 0).sum(-1).unique().tolist() == [5] for weights in record.maps)


@faithful
def test_naive_mixing_is_the_plain_encoder_on_mixed_pictures():
    method = create("mixed_ae", model="16x2x2", **SIZES, **NAIVE)
    batch = {"image": pictures(4, 3, 16, 16)}
    mask = method.sampler(method, batch, context())
    image = unpatchify(method.mix(batch, mask), (4, 4), 4)
    torch.testing.assert_close(method.encode(batch, mask), method.encoder(image), rtol=0, atol=1e-6)
    assert list(method.losses(batch, context())) == ["reconstruction"]


@faithful
def test_tokens_of_one_picture_share_one_embedding():
    method, inputs = create("mixed_ae", model="16x2x2", **SIZES, selective=False), []
    batch = {"image": pictures(4, 3, 16, 16)}
    mask = method.sampler(method, batch, context())
    method.encoder.trunk.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    method.encode(batch, mask)
    with torch.no_grad():
        method.segment[2] += 1
    method.encode(batch, mask)
    owned = (method.owners(batch, mask)[0] == 2).float().unsqueeze(-1).expand(1, 16, 16)
    torch.testing.assert_close((inputs[1] - inputs[0])[:, 1:], owned, rtol=0, atol=1e-5)


@works
def test_padding_reaches_neither_mixture_nor_loss(mixture):
    method, image = mixture[0], pictures(8, 3, 16, 16)
    valid = torch.ones(8, 16, 16, dtype=torch.bool)
    valid[1::2, :, 8:] = False
    losses = []
    for fill in (0.0, 9.0):
        batch = {"image": image.masked_fill(~valid.unsqueeze(1), fill), "image_valid": valid}
        losses.append(sum(method.losses(batch, context()).values()))
    assert losses[0].isfinite()
    assert torch.equal(losses[0], losses[1])


@works
def test_what_cannot_be_mixed_is_refused_in_a_sentence(mixture):
    method, batch, _ = mixture
    with pytest.raises(ValueError, match="6 pictures cannot be divided into groups of 4"):
        method.losses({"image": batch["image"][:6]}, context())
    with pytest.raises(ValueError, match="a place of several pictures"):
        method.losses(batch, context(), Mask.nothing(8, 16))


@works
@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_a_run_trains_shows_its_pictures_and_is_evaluated(tmp_path):
    run_and_look(tmp_path, "mixed_ae", "16x2x2", **SIZES)
