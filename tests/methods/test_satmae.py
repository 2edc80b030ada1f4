"""SatMAE: numbers of its released code for groups of bands and for dates, and what must hold of both."""

import pytest
import torch
from torch import Tensor

from formulas import formula_noise, formula_weights, recorded, wave
from reference_names import VIT, replaced
from unmask.core import Context, Mask
from unmask.methods.mae import MAE
from unmask.methods.satmae import SatMAE, tiny
from unmask.parts.masks.random import random_mask
from unmask.parts.masks.scene import SceneMask, same_places
from unmask.parts.nets.scene_codes import code_widths
from unmask.parts.nets.scene_decoder import SceneDecoder
from unmask.parts.nets.scene_vit import SENTINEL, SceneViT, read_groups
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT

faithful = pytest.mark.faithful("satmae")
CASES = recorded(__file__, "satmae_reference.json")["cases"]
OPTIONS = {
    "spectral": {"crossed": True},
    "spectral_same": {"crossed": True},
    "spectral_normalised": {"crossed": True, "normalise": True},
    "ordered": {},
    "temporal": {"normalise": True},
    "temporal_same": {},
}
DECODER = (("decoder.embed", "decoder_embed"), ("decoder.trunk.", "decoder_"), ("decoder.heads", "decoder_pred"))


def theirs(name: str, temporal: bool) -> str:
    """What the reference calls a parameter."""
    name = name.replace("decoder.mask_token", "mask_token")
    name = replaced(replaced(name, DECODER), (("encoder.embed", "patch_embed"), *VIT))
    if temporal:
        name = name.replace("patch_embed.0.", "patch_embed.proj.").replace("decoder_pred.0.", "decoder_pred.")
    elif name.startswith("patch_embed"):
        head, number, kind = name.split(".")
        name = f"{head}.{number}.proj.{kind}"
    return name


def ours(case: str) -> SatMAE:
    """The method of a case, filled with the formulas' weights under the names of the reference."""
    temporal = case.startswith("temporal")
    if temporal:
        encoder = SceneViT("400x1x4", 16, 4, 3, "0,1,2", dates=3, time_width=384)
        decoder = SceneDecoder(encoder, 208, 1, 4, time_width=192)
    else:
        encoder = SceneViT("48x2x4", 16, 4, 5, "0,1/2,3/4" if case == "ordered" else "0,2/1,3/4")
        decoder = SceneDecoder(encoder, 32, 1, 4)
    method = SatMAE(encoder, decoder, SceneMask(shared="place" if "same" in case else "none"), **OPTIONS[case])
    weights = formula_weights({name: tuple(shape) for name, shape in CASES[case]["shapes"].items()})
    with torch.no_grad():
        for name, parameter in method.named_parameters():
            value = weights.pop(theirs(name, temporal))
            if value.ndim == 4:  # a convolution's channels stand before its pixels
                value = value.permute(0, 2, 3, 1)
            elif "decoder.heads" in name and not temporal:  # outputs: channels before pixels
                value = value.unflatten(0, (-1, 16)).transpose(0, 1)
            parameter.copy_(value.reshape(parameter.shape))
    assert not weights
    return method.eval()


def scenes(case: str) -> dict[str, Tensor]:
    if case.startswith("temporal"):
        raster = wave(2 * 3 * 3 * 256, 0.5).reshape(2, 3, 3, 16, 16).float()
        return {"raster": raster, "moment": torch.tensor(CASES[case]["moments"]).float()}
    return {"raster": wave(2 * 5 * 256, 0.5).reshape(2, 1, 5, 16, 16).float()}


def mask_of(case: str) -> Mask:
    if "same" in case:
        return same_places(formula_noise(2, 16), 0.75, 3)
    return random_mask(formula_noise(2, 48), 0.75)


def outputs(case: str, groups: list[Tensor]) -> Tensor:
    """Predictions in the layout of the reference."""
    if case.startswith("temporal"):
        return groups[0].flatten(1, 2)
    return torch.cat([group[:, 0].unflatten(-1, (16, -1)).permute(0, 3, 1, 2) for group in groups], dim=1)


@faithful
@pytest.mark.parametrize("case", CASES)
def test_the_same_tokens_are_hidden_as_by_the_released_code(case):
    assert [row.nonzero().flatten().tolist() for row in mask_of(case).hidden] == CASES[case]["hidden"]


@faithful
@pytest.mark.parametrize("case", CASES)
def test_the_loss_is_that_of_the_released_code(case):
    loss = ours(case).losses(scenes(case), Context(), mask_of(case))["reconstruction"]
    assert loss.item() == pytest.approx(CASES[case]["loss"], abs=1e-5)


@faithful
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_tokens_and_predictions_are_those_of_the_released_code(case):
    method, batch, mask = ours(case), scenes(case), mask_of(case)
    latent = method.encoder(batch["raster"], batch.get("moment"), mask)[:, 0]
    expected = torch.tensor(CASES[case]["latent_class"])
    torch.testing.assert_close(latent[:, : expected.shape[1]], expected, atol=1e-5, rtol=1e-4)
    found, wanted = outputs(case, method.predict_groups(batch, mask)), CASES[case]["prediction"]
    assert found.double().square().mean().item() == pytest.approx(wanted["mean_square"], rel=1e-5)
    torch.testing.assert_close(found.flatten()[:6], torch.tensor(wanted["first"]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.flatten()[-6:], torch.tensor(wanted["last"]), atol=1e-5, rtol=1e-4)


@faithful
@torch.no_grad()
def test_with_everything_seen_the_class_token_is_that_of_the_released_code():
    batch = scenes("spectral")
    found = ours("spectral").encoder(batch["raster"])[:, 0]
    assert found.double().square().mean().item() == pytest.approx(
        CASES["spectral"]["all_seen"]["mean_square"], rel=1e-5
    )


@faithful
def test_the_published_groups_teach_outputs_the_bands_of_other_groups_only_where_crossed():
    encoder = SceneViT("48x1x2", 8, 4, 10, SENTINEL)
    method = SatMAE(encoder, SceneDecoder(encoder, 32, 1, 2), crossed=True)
    numbered = [torch.arange(16.0).repeat_interleave(len(g)).reshape(1, 1, 1, -1) * 0 for g in encoder.groups]
    first = 0
    for group, guess in zip(encoder.groups, numbered, strict=True):
        guess += torch.arange(first, first + len(group)).float().repeat(16)
        first += len(group)
    taught = [
        guess[0, 0, 0, : len(g)].tolist() for g, guess in zip(encoder.groups, method.recrossed(numbered), strict=True)
    ]
    assert taught == [[0, 1, 2, 6], [3, 4, 5, 7], [8, 9]]  # outputs 3 and 6 have changed their groups


@faithful
def test_masks_of_groups_are_independent_unless_the_place_is_shared():
    method, batch = tiny()
    hidden = SceneMask()(method, batch, Context(generator=torch.Generator().manual_seed(0))).hidden
    assert hidden.sum(1).tolist() == [12] * 4
    layers = hidden.unflatten(1, (4, 4))
    assert (layers != layers[:, :1]).any()
    shared = SceneMask(shared="place")(method, batch, Context()).hidden.unflatten(1, (4, 4))
    assert (shared == shared[:, :1]).all()
    assert shared.sum(2).unique().tolist() == [3]


@faithful
def test_with_one_group_and_one_date_it_is_mae():
    torch.manual_seed(0)
    plain = ViT("16x2x2", 8, 4)
    mae = MAE(plain, TokenDecoder(plain, 16, 1, 2))
    encoder = SceneViT("16x2x2", 8, 4, 3, "0,1,2")
    method = SatMAE(encoder, SceneDecoder(encoder, 16, 1, 2), normalise=True, clip=None)
    same = {
        name.replace("encoder.embed.0", "encoder.embed").replace("decoder.heads.0", "decoder.head"): name
        for name in method.state_dict()
    }
    method.load_state_dict({name: mae.state_dict()[other] for other, name in same.items()})
    image = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    valid = torch.ones(2, 8, 8, dtype=torch.bool)
    valid[0, :3, :2] = False
    mask = random_mask(formula_noise(2, 4), 0.5)
    for known in (None, valid):
        first = {"image": image} | ({} if known is None else {"image_valid": known})
        second = {"raster": image[:, None]} | ({} if known is None else {"raster_valid": known[:, None]})
        expected = mae.losses(first, Context(), mask)["reconstruction"]
        torch.testing.assert_close(method.losses(second, Context(), mask)["reconstruction"], expected)
        torch.testing.assert_close(method.features(second).pooled, mae.features(first).pooled)


@faithful
def test_features_change_with_the_dates_and_only_then():
    method, batch = tiny()
    method.eval()
    later = {**batch, "moment": batch["moment"] + torch.tensor([0.0, 1, 0])}
    first, second, third = (method.features(b).pooled for b in (batch, later, {**batch}))
    assert torch.equal(first, third)
    assert not torch.allclose(first, second)


def test_what_is_hidden_does_not_reach_the_prediction():
    method, batch = tiny()
    mask = random_mask(formula_noise(4, 16), 0.75)
    hidden = mask.hidden.unflatten(1, (2, 2, 2, 2)).repeat_interleave(4, 3).repeat_interleave(4, 4)
    other = batch["raster"].clone()
    for number, group in enumerate(method.encoder.groups):
        for channel in group:
            other[:, :, channel][hidden[:, :, number]] = 1.5
    first, second = (method.predict_groups({**batch, "raster": raster}, mask) for raster in (batch["raster"], other))
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b)


def test_pixels_without_data_count_nowhere():
    method, batch = tiny()
    method.normalise = True
    batch["raster_valid"] = torch.ones(4, 2, 8, 8, dtype=torch.bool)
    batch["raster_valid"][:, 1, :4, :6] = False
    other = {**batch, "raster": torch.where(batch["raster_valid"].unsqueeze(2), batch["raster"], 9.0)}
    mask = random_mask(formula_noise(4, 16), 0.5, places=method.places(batch))
    first, second = (method.losses(b, Context(), mask)["reconstruction"] for b in (batch, other))
    assert torch.equal(first, second)
    assert not mask.hidden.unflatten(1, (2, 2, 4))[:, 1, :, 0].any()  # a token that holds nothing
    assert torch.equal(method.features(batch).pooled, method.features(other).pooled)


def test_views_put_predictions_where_they_count():
    method, batch = tiny()
    (view,) = method.views(batch, Context(generator=torch.Generator().manual_seed(0)))
    assert view.prediction.shape == batch["raster"].shape
    assert not (view.seen & view.counted).any()
    assert (view.seen | view.counted).all()


def test_values_are_clipped_at_two_deviations_unless_asked():
    method, batch = tiny()
    far = {**batch, "raster": batch["raster"] * 100}
    assert method.scene(far).abs().max() == 2
    method.clip = None
    assert method.scene(far).abs().max() > 100


@pytest.mark.parametrize(
    ("width", "decoder", "expected"), [(1024, False, (256, 384)), (768, False, (256, 384)), (512, True, (128, 192))]
)
def test_codes_have_the_published_widths(width, decoder, expected):
    assert code_widths(width, 3, 1, None, None, decoder) == (expected[0], 0)
    assert code_widths(width, 1, 3, None, None, decoder) == (0, expected[1])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: read_groups("0,1/1", 3), "each at most once"),
        (lambda: read_groups("0,5", 3), "must name channels from 0 to 2"),
        (lambda: read_groups("red,nir", 3), "are not numbers of channels"),
        (lambda: SceneViT("16x1x2", 8, 8, 3, "0,1,2"), "gives a single token"),
        (lambda: SceneViT("16x1x2", 8, 4, 3, "0/1/2", group_width=15), "cannot hold a code of 15 for the group"),
        (
            lambda: SceneViT("16x1x2", 8, 4, 3, "0,1,2")(torch.zeros(1, 1, 4, 8, 8)),
            "scenes have 4 channels, this encoder 3",
        ),
        (
            lambda: tiny()[0].features({"raster": torch.zeros(1, 2, 4, 8, 8)}),
            "have no dates, and the network reads them",
        ),
        (lambda: SceneMask(shared="all"), "shared 'all' is unknown"),
        (
            lambda: SatMAE(
                SceneViT("16x1x2", 8, 4, 4, "0,1"),
                SceneDecoder(SceneViT("16x1x2", 8, 4, 4, "0,1"), 16, 1, 2),
                crossed=True,
            ),
            "must name every channel",
        ),
        (lambda: SatMAE(SceneViT("16x1x2", 8, 4, 4, "0,1"), clip=0.0), "clip 0.0 leaves nothing"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(make, words):
    with pytest.raises(ValueError, match=words):
        make()
