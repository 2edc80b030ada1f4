"""VideoMAE: tubes, cubes, a decoder that needs no order, and the reference's numbers."""

import pytest
import torch

from formulas import formula_noise, formula_weights, pictures, recorded, wave
from reference_names import VIT, replaced
from unmask.core import Context, Mask
from unmask.core.assembly import arguments
from unmask.methods.videomae import VideoMAE, tiny
from unmask.parts.masks.tube import TubeMask, tube_mask
from unmask.parts.nets.concat_decoder import ConcatDecoder
from unmask.parts.nets.positions import LinePositions
from unmask.parts.nets.video_vit import VideoViT

REFERENCE = recorded(__file__, "videomae_reference.json")
faithful = pytest.mark.faithful("videomae")
MEAN, STD = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
NAMES = (
    ("decoder.embed.", "encoder_to_decoder."),
    ("decoder.mask_token", "mask_token"),
    ("decoder.trunk.", "decoder."),
    ("encoder.embed.", "encoder.patch_embed.proj."),
    ("encoder.trunk.", "encoder."),
    (".attention.qkv.", ".attn.qkv."),
    (".attention.query_bias", ".attn.q_bias"),
    (".attention.value_bias", ".attn.v_bias"),
    *VIT[4:],
)


def filled():
    """With the weights that the reference was given."""
    encoder = VideoViT("16x2x2", image_size=16, patch_size=4)
    method = VideoMAE(encoder, ConcatDecoder(encoder, width=8, depth=1, heads=2), 0.75).eval()
    ours = {replaced(name, NAMES): parameter for name, parameter in method.named_parameters()}
    assert sorted(ours) == REFERENCE["parameters"]
    shapes = {name: tuple(p.shape) for name, p in ours.items()}
    shapes["encoder.patch_embed.proj.weight"] = (16, 3, 2, 4, 4)
    with torch.no_grad():
        for name, value in formula_weights(shapes).items():
            value = value.permute(0, 2, 3, 4, 1) if value.ndim == 5 else value
            ours[name].copy_(value.reshape(ours[name].shape))
    return method


def clip() -> dict[str, torch.Tensor]:
    video = wave(2 * 3 * 16**3, 0.5).reshape(2, 3, 16, 16, 16).float() * (1 + torch.linspace(0, 2, 16))
    video = video + torch.linspace(-1, 1, 16)[:, None] + torch.linspace(-0.5, 0.5, 16)[:, None, None]
    return {"video": video}


def mask() -> Mask:
    return tube_mask(formula_noise(2, 16), 8, 0.75)


def hidden_rows(values: torch.Tensor) -> torch.Tensor:
    return values[mask().hidden].reshape(2, -1, values.shape[-1])


@faithful
def test_predictions_are_the_references_in_the_order_of_the_hidden_places():
    with torch.no_grad():
        found = hidden_rows(filled().predict(clip(), mask()))
    assert list(found.shape) == REFERENCE["shape"]
    expected = REFERENCE["prediction"]
    torch.testing.assert_close(found[0, 0, :12], torch.tensor(expected["0 0"]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[1, 95, -12:], torch.tensor(expected["1 95"]), atol=1e-5, rtol=1e-5)
    sums = torch.tensor(REFERENCE["sums"])
    torch.testing.assert_close(found.double().sum((1, 2)).float(), sums, atol=1e-3, rtol=1e-5)  # of 9216 numbers


@faithful
def test_the_loss_is_the_references():
    found = filled().losses(clip(), Context(), mask())["reconstruction"]
    assert found.item() == pytest.approx(REFERENCE["loss"]["True"], rel=1e-5)


@faithful
def test_targets_that_are_not_normalised_are_the_references_but_for_the_scale_of_the_pixels():
    method = filled()
    method.target.normalise = False
    unit = {"video": clip()["video"] * STD.view(3, 1, 1, 1) + MEAN.view(3, 1, 1, 1)}
    with torch.no_grad():
        error = hidden_rows(method.predict(clip(), mask()) - method.target(unit).values)
    assert error.square().mean().item() == pytest.approx(REFERENCE["loss"]["False"], rel=1e-5)


@faithful
@pytest.mark.parametrize("ratio", [0.9, 0.75])
def test_as_many_places_are_hidden_as_the_reference_hides_and_the_same_in_every_slice(ratio):
    hidden = tube_mask(torch.rand(3, 196, generator=torch.Generator().manual_seed(0)), 8, ratio).hidden
    slices = hidden.unflatten(-1, (8, 196))
    assert slices.sum(-1).unique().tolist() == [REFERENCE["mask_counts"][str(ratio)]["per_frame"]]
    assert (~hidden).sum(-1).unique().tolist() == [REFERENCE["mask_counts"][str(ratio)]["visible"]]
    assert (slices == slices[:, :1]).all()


@faithful
def test_positions_run_along_the_flattened_clip():
    table, expected = LinePositions(1568, 768)(1568), REFERENCE["positions"]
    for row, values in expected["rows"].items():
        torch.testing.assert_close(
            table[int(row), expected["columns"]], torch.tensor(values), atol=5e-7, rtol=0
        )  # seven digits were recorded


@faithful
def test_keys_have_no_bias_and_positions_are_not_trained():
    names = [name for name, _ in tiny()[0].named_parameters()]
    assert any(name.endswith("query_bias") for name in names)
    assert not any("positions" in name or name.endswith("qkv.bias") or "key_bias" in name for name in names)


@faithful
def test_the_order_of_the_visible_places_does_not_matter():
    method, batch, plain = filled(), clip(), mask()
    order = plain.order.clone()
    order[:, : plain.count] = order[:, : plain.count].flip(-1)
    with torch.no_grad():
        turned = method.predict(batch, Mask(plain.hidden, order, plain.count))
        torch.testing.assert_close(turned, method.predict(batch, plain), atol=1e-5, rtol=1e-5)


@faithful
def test_targets_have_mean_0_and_deviation_1_in_every_channel_of_every_cube():
    target = filled().target(clip()).values.unflatten(-1, (-1, 3))
    torch.testing.assert_close(target.mean(-2), torch.zeros(2, 128, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(target.std(-2), torch.ones(2, 128, 3), atol=1e-4, rtol=0)


def test_hidden_values_do_not_reach_the_encoder():
    method, batch, plain = filled(), clip(), mask()
    cubes = plain.hidden.unflatten(-1, (8, 4, 4)).repeat_interleave(2, 1)
    pixels = cubes.repeat_interleave(4, 2).repeat_interleave(4, 3).unsqueeze(1)
    other = {"video": torch.where(pixels, 9.0, batch["video"])}
    with torch.no_grad():
        assert torch.equal(method.predict(other, plain), method.predict(batch, plain))


def test_clips_of_another_size_and_length_are_read():
    method, _ = tiny()
    found = method.features({"video": pictures(2, 3, 8, 12, 20)})
    assert found.grid == (4, 3, 5)
    assert found.tokens.shape == (2, 60, 16)
    assert len(found.blocks) == 2


def test_the_papers_sizes_are_the_defaults():
    known = arguments(VideoMAE)
    sizes = {"image_size": 224, "patch_size": 16, "frames": 16, "tube": 2, "stride": 4, "ratio": 0.9}
    sizes |= {"decoder_width": 384, "decoder_depth": 4, "decoder_heads": 6}
    assert {name: known[name].default for name in sizes} == sizes


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: VideoViT("16x1x2", 18, 4), "a clip of 16 frames of 18x18 cannot be cut into cubes of 2 frames of 4x4"),
        (lambda: VideoViT("16x1x2", 16, 4, frames=5), "a clip of 5 frames"),
        (lambda: VideoViT("16x1x2", 16, 16, frames=2), "single cube"),
        (lambda: VideoViT("16x1x2", 16, 4, stride=0), "stride 0"),
        (lambda: TubeMask(1.0), "mask ratio 1.0"),
    ],
)
def test_settings_that_cannot_be(build, words):
    with pytest.raises(ValueError, match=words):
        build()
