"""MAE: equal to its released code and to transformers' on the same weights and noise, and its own facts."""

import math

import pytest
import torch
from safetensors.torch import save_file

from formulas import formula_image, formula_noise, formula_weights, pictures, recorded
from unmask.core import Context, Mask
from unmask.interop.architecture import architecture_of
from unmask.interop.folder import weights
from unmask.interop.names import MAE as MAE_NAMES
from unmask.interop.names import to_theirs
from unmask.interop.published import load_into
from unmask.methods.mae import MAE
from unmask.parts.masks.random import random_mask
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.patches import patchify, unpatchify
from unmask.parts.ops.positions import sincos_grid

pytestmark = pytest.mark.faithful("mae")

# How mae_reference.json was made: models_mae.py of the named commit, unchanged, with the blocks and the patch embedding
# of a current timm, filled by `formula_weights`, fed with `formula_image`, its torch.rand replaced by `formula_noise`.
REFERENCE = recorded(__file__, "mae_reference.json")


def create(case, channels=3, image_size=None):
    encoder = ViT(
        f"{case['width']}x{case['depth']}x{case['heads']}",
        image_size or case["image_size"],
        case["patch_size"],
        channels,
    )
    decoder = TokenDecoder(encoder, case["decoder_width"], case["decoder_depth"], case["decoder_heads"])
    return MAE(encoder, decoder, case["ratio"], case["normalise"]).eval()


@pytest.fixture(scope="module", params=REFERENCE["cases"], ids=lambda case: f"patch{case['patch_size']}")
def reference(request, tmp_path_factory):
    """A case of the record and our MAE with the same weights, read through a file under the released names."""
    case = request.param
    method = create(case)
    theirs = to_theirs(weights(method), MAE_NAMES, architecture_of(method))
    filled = formula_weights({n: t.shape for n, t in theirs.items() if not n.endswith("pos_embed")})
    path = tmp_path_factory.mktemp("reference") / "weights.safetensors"
    save_file(theirs | filled, path)
    load_into(method, path)
    batch = {"image": formula_image(case["samples"], case["image_size"])}
    n = method.encoder.grid[0] * method.encoder.grid[1]
    return case, method, batch, random_mask(formula_noise(case["samples"], n), case["ratio"])


def test_the_mask_is_the_reference_s(reference):
    case, _, _, mask = reference
    assert mask.count == case["kept"]
    for hidden, expected in zip(mask.hidden, case["hidden"], strict=True):
        assert hidden.nonzero().flatten().tolist()[: len(expected)] == expected


def test_the_loss_is_the_reference_s(reference):
    case, method, batch, mask = reference
    loss = method.losses(batch, Context(), mask)["reconstruction"].item()
    assert loss == pytest.approx(case["loss"], rel=0, abs=1e-5)  # float32 sums in another order


def test_latents_and_predictions_are_the_reference_s(reference):
    case, method, batch, mask = reference
    with torch.no_grad():
        found = {"latent": method.encoder(batch["image"], mask), "prediction": method.predict(batch, mask)}
    for kind, values in found.items():
        assert values.double().square().mean().item() == pytest.approx(case[f"{kind}_mean_square"], rel=1e-5)
        for place, expected in case[kind].items():
            sample, token = map(int, place.split(","))
            ends = values[sample, token, :6] if token < 2 else values[sample, token, -6:]
            assert torch.allclose(ends, torch.tensor(expected), rtol=0, atol=1e-5)


TINY = {
    "image_size": 16,
    "patch_size": 4,
    "width": 16,
    "depth": 2,
    "heads": 2,
    "decoder_width": 8,
    "decoder_depth": 2,
    "decoder_heads": 2,
    "ratio": 0.75,
    "normalise": True,
}


@pytest.mark.parametrize(
    ("image_size", "patch_size", "channels", "ratio", "normalise"),
    [
        (16, 4, 3, 0.75, True),
        (16, 4, 3, 0.75, False),
        (24, 8, 1, 0.5, True),
        (12, 2, 5, 0.9, True),
        (14, 7, 13, 0.6, False),
    ],
)
def test_loss_and_mask_are_those_of_transformers(tmp_path, image_size, patch_size, channels, ratio, normalise):
    transformers = pytest.importorskip("transformers")
    case = TINY | {"image_size": image_size, "patch_size": patch_size, "ratio": ratio, "normalise": normalise}
    config = transformers.ViTMAEConfig(
        hidden_size=case["width"],
        num_hidden_layers=case["depth"],
        num_attention_heads=case["heads"],
        intermediate_size=4 * case["width"],
        image_size=image_size,
        patch_size=patch_size,
        num_channels=channels,
        layer_norm_eps=1e-6,
        decoder_hidden_size=case["decoder_width"],
        decoder_num_hidden_layers=case["decoder_depth"],
        decoder_num_attention_heads=case["decoder_heads"],
        decoder_intermediate_size=4 * case["decoder_width"],
        mask_ratio=ratio,
        norm_pix_loss=normalise,
    )
    generator = torch.Generator().manual_seed(0)
    theirs = transformers.ViTMAEForPreTraining(config).eval()
    for parameter in theirs.parameters():
        if parameter.requires_grad:  # not the fixed positions
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    # a new model of some versions has zeros there; files have sines and cosines, which the other tests compare
    for table in (theirs.vit.embeddings.position_embeddings, theirs.decoder.decoder_pos_embed):
        side = math.isqrt(table.shape[1] - 1)
        table.data[0, 1:] = sincos_grid((side, side), table.shape[2])
    theirs.save_pretrained(tmp_path)
    ours = create(case, channels)
    load_into(ours, tmp_path)
    image = torch.randn(3, channels, image_size, image_size, generator=generator)
    noise = torch.rand(3, (image_size // patch_size) ** 2, generator=generator)
    mask = random_mask(noise, ratio)
    with torch.no_grad():
        expected = theirs(image, noise=noise)
        loss = ours.losses({"image": image}, Context(), mask)["reconstruction"]
        prediction = ours.predict({"image": image}, mask)
    assert torch.equal(mask.hidden, expected.mask.bool())
    assert loss.item() == pytest.approx(expected.loss.item(), rel=0, abs=1e-5)
    assert torch.allclose(prediction, expected.logits, atol=1e-5)


def tiny(**changes):
    torch.manual_seed(0)
    return create(TINY | changes)


def test_49_of_196_patches_are_kept():
    method = tiny(image_size=56)
    mask = method.sampler(
        method, {"image": pictures(2, 3, 56, 56)}, Context(generator=torch.Generator().manual_seed(0))
    )
    assert mask.count == 49
    assert mask.hidden.sum(-1).tolist() == [147, 147]


def test_hidden_pixels_do_not_reach_the_encoder():
    method, image = tiny(), pictures(2, 3, 16, 16)
    mask = random_mask(torch.rand(2, 16, generator=torch.Generator().manual_seed(0)), 0.75)
    noise = mask.hidden.unsqueeze(-1) * pictures(2, 16, 48)
    changed = image + unpatchify(noise, (4, 4), 4)
    assert not torch.equal(changed, image)
    assert torch.equal(method.encoder(image, mask), method.encoder(changed, mask))


def test_predictions_of_visible_patches_do_not_count():
    method, batch = tiny(), {"image": pictures(2, 3, 16, 16)}
    mask = random_mask(torch.rand(2, 16, generator=torch.Generator().manual_seed(0)), 0.75)
    predictions = []

    def keep(module, arguments, output):
        output.retain_grad()
        predictions.append(output)

    method.decoder.head.register_forward_hook(keep)
    method.losses(batch, Context(), mask)["reconstruction"].backward()
    gradient = predictions[0].grad.abs().sum(-1)[:, -16:]
    assert torch.equal(gradient > 0, mask.hidden)


def test_the_target_of_a_patch_has_mean_zero_and_unbiased_deviation_one():
    method, image = tiny(), 3 + 5 * pictures(2, 3, 16, 16)
    values = method.target({"image": image}).values
    assert torch.allclose(values.mean(-1), torch.zeros(2, 16), atol=1e-5)
    assert torch.allclose(values.std(-1), torch.ones(2, 16), atol=1e-5)
    assert torch.equal(tiny(normalise=False).target({"image": image}).values, patchify(image, 4))


def test_a_flat_patch_gives_a_finite_loss():
    method = tiny()
    loss = method.losses({"image": torch.ones(2, 3, 16, 16)}, Context(), Mask.from_scores(pictures(2, 16), 4))
    assert loss["reconstruction"].isfinite()


@pytest.mark.parametrize("side", [16, 20, 32])
def test_the_loss_does_not_depend_on_the_amount_of_padding(side):
    method, image = tiny(), pictures(2, 3, 13, 10)
    padded = torch.zeros(2, 3, side, side)
    padded[..., :13, :10] = image
    valid = torch.zeros(2, side, side, dtype=torch.bool)
    valid[:, :13, :10] = True
    hidden = torch.rand(2, 4, 3, generator=torch.Generator().manual_seed(0)) > 0.4
    losses = []
    for batch, grid in (({"image": image}, (4, 3)), ({"image": padded, "image_valid": valid}, (side // 4, side // 4))):
        whole, places = torch.zeros(2, 2, *grid, dtype=torch.bool)
        whole[:, :4, :3], places[:, :4, :3] = hidden, True
        mask = Mask.of(whole.flatten(1), places.flatten(1))
        losses.append(method.losses(batch, Context(), mask)["reconstruction"].item())
    assert losses[0] == pytest.approx(losses[1], rel=0, abs=1e-6)


@pytest.mark.parametrize(("rows", "columns"), [(1, 2), (2, 1), (1, 4), (5, 1), (2, 3), (3, 3), (5, 4)])
@pytest.mark.parametrize("rest", [0, 1])
def test_every_size_of_more_than_one_patch_trains(rows, columns, rest):
    method = tiny()
    batch = {"image": pictures(2, 3, rows * 4 - rest, columns * 4 - rest)}
    loss = method.losses(batch, Context(generator=torch.Generator().manual_seed(0)))["reconstruction"]
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in method.parameters() if p.grad is not None)


def test_a_picture_of_one_patch_is_refused_in_training_and_embedded():
    method = tiny()
    with pytest.raises(ValueError, match="smaller patches"):
        method.losses({"image": pictures(2, 3, 4, 4)}, Context(generator=torch.Generator().manual_seed(0)))
    assert method.features({"image": pictures(2, 3, 4, 4)}).pooled.isfinite().all()


@pytest.mark.parametrize("channels", [1, 2, 4, 13])
def test_any_number_of_channels_trains(channels):
    torch.manual_seed(0)
    method = create(TINY, channels)
    loss = method.losses({"image": pictures(2, channels, 16, 16)}, Context(generator=torch.Generator().manual_seed(0)))
    assert loss["reconstruction"].isfinite()
