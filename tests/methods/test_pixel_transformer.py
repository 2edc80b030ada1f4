"""Pixel Transformer: the masked autoencoder at patch size 1, in which no two pixels are neighbours."""

import pytest
import torch
from torch import nn

from formulas import pictures
from small_run import without_drawing  # noqa: F401
from unmask.app.catalogue import create
from unmask.core import Context, Mask
from unmask.core.assembly import arguments
from unmask.methods.mae import MAE
from unmask.methods.pixel_transformer import PixelTransformer, tiny
from unmask.parts.nets.positions import Positions
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT
from whole_run import run_and_look

faithful, works = pytest.mark.faithful("pixel_transformer"), pytest.mark.works("pixel_transformer")
SIZES = {"model": "16x2x2", "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}


def noise(b: int, n: int) -> torch.Tensor:
    return torch.rand(b, n, generator=torch.Generator().manual_seed(0))


@faithful
def test_it_is_mae_at_patch_size_one_with_learned_positions_and_plain_pixels():
    method, batch = tiny()
    encoder = ViT("16x2x2", 8, 1, positions="learned")
    decoder = TokenDecoder(encoder, 16, 1, 2)
    decoder.positions = Positions((8, 8), 16, "learned")
    mae = MAE(encoder, decoder, normalise=False)
    mae.load_state_dict(method.state_dict())
    mask = Mask.from_scores(noise(4, 64), 16)
    assert torch.equal(
        method.losses(batch, Context(), mask)["reconstruction"], mae.losses(batch, Context(), mask)["reconstruction"]
    )


@faithful
def test_one_permutation_of_all_pixels_and_positions_changes_nothing():
    """The paper's point: without patches nothing of a network knows which pixels lie beside each other."""
    method, batch = tiny()
    order = noise(1, 64)[0].argsort()
    scores = noise(4, 64)
    loss = method.losses(batch, Context(), Mask.from_scores(scores, 16))["reconstruction"]
    features = method.features(batch).pooled
    shuffled = {"image": batch["image"].flatten(2)[..., order].unflatten(-1, (8, 8))}
    assert not torch.allclose(method.features(shuffled).pooled, features, atol=1e-4)
    with torch.no_grad():
        for positions in (method.encoder.positions, method.decoder.positions):
            positions.table.copy_(positions.table[order])
    found = method.losses(shuffled, Context(), Mask.from_scores(scores[:, order], 16))["reconstruction"]
    torch.testing.assert_close(found, loss, rtol=0, atol=1e-5)
    torch.testing.assert_close(method.features(shuffled).pooled, features, rtol=0, atol=1e-5)


@faithful
def test_no_layer_sees_more_than_one_pixel_before_attention():
    method = create("pixel_transformer", image_size=8, **SIZES)
    assert not any(isinstance(module, nn.Conv2d) for module in method.modules())
    assert method.encoder.embed.in_features == 3
    assert method.decoder.head.out_features == 3


@faithful
def test_positions_of_both_networks_are_learned():
    method, batch = tiny()
    method.losses(batch, Context(generator=torch.Generator().manual_seed(0)))["reconstruction"].backward()
    for positions in (method.encoder.positions, method.decoder.positions):
        assert positions.table.requires_grad
        assert positions.table.grad.abs().sum() > 0


@faithful
def test_a_quarter_of_the_pixels_stays_visible():
    method = create("pixel_transformer", image_size=28, **SIZES)
    context = Context(generator=torch.Generator().manual_seed(0))
    mask = method.sampler(method, {"image": pictures(2, 3, 28, 28)}, context)
    assert mask.count == 196
    assert mask.hidden.sum(-1).tolist() == [588, 588]


@faithful
def test_the_target_is_the_colour_of_the_pixel():
    method, batch = tiny()
    values = method.target(batch).values
    assert torch.equal(values, batch["image"].flatten(2).transpose(1, 2))


@works
@pytest.mark.parametrize("channels", [1, 4])
def test_any_number_of_channels_trains(channels):
    method = create("pixel_transformer", image_size=8, channels=channels, **SIZES)
    context = Context(generator=torch.Generator().manual_seed(0))
    method.losses({"image": pictures(2, channels, 8, 8)}, context)["reconstruction"].backward()
    assert all(p.grad.isfinite().all() for p in method.parameters())


@works
def test_a_patch_size_is_refused_since_it_is_one():
    assert "patch_size" not in arguments(PixelTransformer)
    with pytest.raises(ValueError, match="'patch_size' is unknown"):
        create("pixel_transformer", patch_size=4)


@works
@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("shape", [(16, 16, 3), (16, 16)])
def test_a_run_trains_shows_its_pictures_and_is_evaluated(tmp_path, shape):
    run_and_look(tmp_path, "pixel_transformer", shape=shape, image_size=8, **SIZES)
