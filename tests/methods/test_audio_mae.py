"""Audio-MAE: windows that shift along time only, masks of rows and columns, and the reference's numbers."""

import copy

import pytest
import torch

from formulas import formula_noise, formula_weights, pictures, recorded, wave
from reference_names import VIT, replaced
from unmask.core import Context, Mask
from unmask.core.assembly import arguments
from unmask.methods.audio_mae import AudioMAE, tiny
from unmask.parts.masks.product import ProductMask, product_mask
from unmask.parts.masks.random import random_mask
from unmask.parts.nets.spectrogram_vit import SpectrogramViT
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.window_decoder import WindowDecoder

REFERENCE = recorded(__file__, "audio_mae_reference.json")
faithful = pytest.mark.faithful("audio_mae")
NAMES = (
    ("decoder.embed.", "decoder_embed."),
    ("decoder.mask_token", "mask_token"),
    ("decoder.blocks.", "decoder_blocks."),
    ("decoder.norm.", "decoder_norm."),
    ("decoder.head.", "decoder_pred."),
    (".attention.bias.0.", ".attn.meta_mlp.fc1."),
    (".attention.bias.2.", ".attn.meta_mlp.fc2."),
    (".attention.temperature", ".attn.tau"),
    *VIT,
)


@pytest.fixture(scope="module")
def filled():
    """With the weights that the reference was given, on its grid of 64x8 and with its 16 blocks of 16 heads."""
    encoder = SpectrogramViT("16x2x2", frames=128, bands=16, patch_size=2)
    method = AudioMAE(encoder, WindowDecoder(encoder, width=32)).eval()
    ours = {replaced(name, NAMES): parameter for name, parameter in method.named_parameters()}
    assert sorted(ours) == REFERENCE["parameters"]
    shapes = {name: tuple(p.shape) for name, p in ours.items()} | {"patch_embed.proj.weight": (16, 1, 2, 2)}
    with torch.no_grad():
        for name, value in formula_weights(shapes).items():
            value = 0.5 + 0.4 * value if name.endswith("tau") else value
            ours[name].copy_(value.reshape(ours[name].shape))  # of one channel: the order in a patch is the same
    return method


@pytest.fixture(scope="module")
def sound() -> dict[str, torch.Tensor]:
    values = wave(2 * 128 * 16, 0.5).reshape(2, 1, 128, 16).float()
    return {"spectrogram": values * (1 + torch.linspace(0, 2, 16)) + torch.linspace(-1, 1, 128)[:, None]}


def random_places() -> Mask:
    return random_mask(formula_noise(2, 512), 0.8)


def crossing() -> Mask:
    return product_mask(formula_noise(2, 64), formula_noise(2, 8), (25, 4))


@faithful
def test_predictions_are_the_references(filled, sound):
    with torch.no_grad():
        found = filled.predict(sound, random_places())
    for place, values in REFERENCE["random"]["prediction"].items():
        row, column = map(int, place.split())
        torch.testing.assert_close(found[row, column], torch.tensor(values), atol=1e-5, rtol=1e-5)
    with torch.no_grad():  # in double, for sums of 2048 numbers round differently on every processor
        exact = copy.deepcopy(filled).double().predict({"spectrogram": sound["spectrogram"].double()}, random_places())
    sums = torch.tensor(REFERENCE["random"]["sums"])
    torch.testing.assert_close(exact.sum((1, 2)).float(), sums, atol=1e-3, rtol=1e-5)


@faithful
def test_the_loss_is_the_references(filled, sound):
    mask = random_places()
    assert mask.hidden.sum(-1).tolist() == [REFERENCE["random"]["hidden"]] * 2
    assert mask.kept[:, :5].tolist() == REFERENCE["random"]["first_seen"]
    found = filled.losses(sound, Context(), mask)["reconstruction"]
    assert found.item() == pytest.approx(REFERENCE["random"]["normalised"], rel=1e-5)


@faithful
def test_rows_and_columns_are_hidden_as_in_the_reference(filled, sound):
    expected, mask = REFERENCE["product"], crossing()
    assert mask.hidden.sum(-1).tolist() == expected["hidden"] == [512 - 25 * 4] * 2
    seen = ~mask.hidden.unflatten(-1, (64, 8))
    for sample in (0, 1):
        rows, columns = seen[sample].any(1).nonzero().squeeze(1), seen[sample].any(0).nonzero().squeeze(1)
        assert rows.tolist() == expected["rows_seen"][sample]
        assert columns.tolist() == expected["columns_seen"][sample]
        assert seen[sample][rows][:, columns].all()
    assert (mask.kept.diff() > 0).all()
    found = filled.losses(sound, Context(), mask)["reconstruction"]
    assert found.item() == pytest.approx(expected["normalised"], rel=1e-5)


def reach(shift: bool, depth: int) -> torch.Tensor:
    """Which places of an 8x8 grid change the prediction at row 2, column 1."""
    torch.manual_seed(0)
    encoder = SpectrogramViT("16x1x2", frames=32, bands=32, patch_size=4)
    decoder = WindowDecoder(encoder, width=16, depth=depth, heads=2, shift=shift)
    nothing = Mask.nothing(1, 64)
    tokens = pictures(1, 65, 16).requires_grad_()
    decoder(tokens, nothing, (8, 8))[0, 2 * 8 + 1].sum().backward()
    return (tokens.grad[0, 1:].abs().sum(-1) > 0).unflatten(0, (8, 8))


@faithful
def test_one_block_sees_its_window_and_nothing_else():
    seen = reach(shift=True, depth=1)
    assert seen[:4, :4].all()
    assert seen.sum() == 16


@faithful
def test_windows_move_along_time_only_and_not_around_the_end():
    seen = reach(shift=True, depth=2)
    assert seen[:, :4].all(1).tolist() == [True] * 8  # rows 2 to 5 of the second block, each within its first window
    assert not seen[:, 4:].any()
    assert reach(shift=False, depth=2).sum() == 16


def test_a_window_as_large_as_the_grid_is_global_attention():
    torch.manual_seed(0)
    encoder = SpectrogramViT("16x1x2", frames=32, bands=16, patch_size=4)
    decoder = WindowDecoder(encoder, width=16, depth=1, heads=2, window=64)
    assert decoder.blocks[0].window == (8, 4)
    assert WindowDecoder(encoder, 16, 2, 2, window=64).blocks[1].shift == 0


def test_padding_reaches_nothing():
    torch.manual_seed(0)
    method, batch = tiny()
    method.eval()
    valid = torch.arange(32)[None, :, None].expand(4, 32, 16) < 20
    batch = {"spectrogram": batch["spectrogram"], "spectrogram_valid": valid}
    other = batch | {"spectrogram": batch["spectrogram"].masked_fill(~valid.unsqueeze(1), 9.0)}
    generators = (torch.Generator().manual_seed(0) for _ in range(2))
    one, two = (
        method.losses(b, Context(generator=g))["reconstruction"]
        for b, g in zip((batch, other), generators, strict=True)
    )
    assert torch.isfinite(one)
    assert torch.equal(one, two)
    assert method.places(batch).sum(-1).tolist() == [20] * 4
    assert torch.equal(method.features(batch).pooled, method.features(other).pooled)


def test_a_global_decoder_can_be_given():
    encoder = SpectrogramViT("16x1x2", frames=32, bands=16, patch_size=4)
    method = AudioMAE(encoder, TokenDecoder(encoder, width=16, depth=1, heads=2))
    assert torch.isfinite(method.losses(tiny()[1], Context())["reconstruction"])


def test_rows_and_columns_with_padding_hide_no_padding():
    method, batch = tiny()
    valid = torch.arange(32)[None, :, None].expand(4, 32, 16) < 20
    batch = batch | {"spectrogram_valid": valid}
    mask = ProductMask(0.5, 0.5)(method, batch, Context(generator=torch.Generator().manual_seed(0)))
    assert not mask.hidden.unflatten(-1, (8, 4))[:, 5:].any()
    assert (mask.hidden.sum(-1) < 20).all()


def test_the_papers_sizes_are_the_defaults():
    known = arguments(AudioMAE)
    sizes = {"frames": 1024, "bands": 128, "patch_size": 16, "ratio": 0.8}
    sizes |= {"decoder_width": 512, "decoder_depth": 16, "decoder_heads": 16, "decoder_window": 4}
    assert {name: known[name].default for name in sizes} == sizes


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda e: WindowDecoder(e, 16, 1, 2, window=3), "a grid of 8x4 places cannot be divided into windows of 3x3"),
        (lambda e: WindowDecoder(e, 16, 1, 3), "width 16 cannot be divided into 3 heads"),
        (lambda e: WindowDecoder(e, 16, 1, 2, window=0), "window 0 must be at least 1"),
        (lambda e: ProductMask(rows=1.0), "mask ratio 1.0"),
    ],
)
def test_settings_that_cannot_be(build, words):
    with pytest.raises(ValueError, match=words):
        build(SpectrogramViT("16x1x2", frames=32, bands=16, patch_size=4))
