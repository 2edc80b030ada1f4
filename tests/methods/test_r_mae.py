"""R-MAE: equal to its released code on the same weights, mask and regions, and MAE where there are no regions."""

import pytest
import torch

from formulas import formula_image, formula_noise, formula_weights, pictures, recorded
from small_run import without_drawing  # noqa: F401
from unmask.core import Context, Mask
from unmask.methods.r_mae import RMAE, Regions, chosen, tiny
from unmask.parts.masks.random import random_mask
from unmask.parts.nets.region_decoder import RegionDecoder
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT
from unmask.parts.ops.patches import patchify
from whole_run import run_and_look

faithful, works = pytest.mark.faithful("r_mae"), pytest.mark.works("r_mae")

# How r_mae_reference.json was made: the named files of the named commit, unchanged, filled by `formula_weights` under
# their names, fed with `formula_image` and the regions of `stripes`; torch.rand replaced by `formula_noise`.
REFERENCE = recorded(__file__, "r_mae_reference.json")
NAMES = (
    ("region_decoder.memory.trunk.blocks.", "region_cross_blocks."),
    ("region_decoder.memory.trunk.norm.", "region_dec_norm."),
    ("region_decoder.memory.embed.", "region_cross_embed."),
    ("region_decoder.memory.mask_token", "region_cross_mask_token"),
    ("region_decoder.memory.head.", "region_dec_blocks.0.proj."),
    ("region_decoder.embed.", "region_patch_embed.proj."),
    ("region_decoder.blocks.", "region_enc_blocks."),
    ("region_decoder.read_norm.", "region_proj.0."),
    ("region_decoder.read.", "region_proj.1."),
    ("region_decoder.norm.", "region_dec_blocks.0.norm1."),
    ("region_decoder.attention.", "region_dec_blocks.0.attention."),
    ("region_decoder.meet_norm.", "region_dec_blocks.0.norm3."),
    ("region_decoder.widen.", "region_dec_blocks.0.mlp.0."),
    ("region_decoder.meet.1.", "region_dec_blocks.0.mlp.2."),
    ("region_decoder.head.", "region_pred.1."),
    ("encoder.embed.", "patch_embed.proj."),
    ("encoder.class_token", "cls_token"),
    ("encoder.trunk.", ""),
    ("decoder.embed.", "decoder_embed."),
    ("decoder.mask_token", "mask_token"),
    ("decoder.trunk.", "decoder_"),
    ("decoder.head.", "decoder_pred."),
)
INSIDE = (
    (".attention.out.", ".attn.proj."),
    (".attention.", ".attn."),
    (".mlp.0.", ".mlp.fc1."),
    (".mlp.2.", ".mlp.fc2."),
)


def released_name(name: str) -> str:
    """What the released code calls a tensor of ours."""
    ours, theirs = next(pair for pair in NAMES if name.startswith(pair[0]))
    name = theirs + name.removeprefix(ours)
    for one, other in INSIDE:
        name = name.replace(one, other)
    return name


def stripes(samples: int, count: int, side: int) -> torch.Tensor:
    """Slanted stripes, of another width and slope for every region."""
    row = torch.arange(side)
    return torch.stack(
        [
            torch.stack([(row[:, None] * (i + 1) + row * (r + 2)) % (5 + r + i) < 3 for r in range(count)])
            for i in range(samples)
        ]
    ).float()


@pytest.fixture
def reference():
    """The recorded case, our RMAE with the same weights and regions, its batch and its mask."""
    case = REFERENCE["case"]
    encoder = ViT(f"{case['width']}x{case['depth']}x{case['heads']}", case["image_size"], case["patch_size"])
    decoder = TokenDecoder(encoder, case["decoder_width"], case["decoder_depth"], case["decoder_heads"])
    regions = RegionDecoder(encoder, case["region_width"], case["region_depth"], case["region_heads"])
    method = RMAE(encoder, decoder, regions, Regions(case["regions"]), case["ratio"]).eval()
    ours, patch = {released_name(n): p for n, p in method.named_parameters()}, case["patch_size"]
    shapes = {
        n: (p.shape[0], p.shape[1] // patch**2, patch, patch) if n.endswith("patch_embed.proj.weight") else p.shape
        for n, p in ours.items()
    }
    with torch.no_grad():
        for name, values in formula_weights(shapes).items():
            values = values.permute(0, 2, 3, 1) if name.endswith("patch_embed.proj.weight") else values
            ours[name].copy_(values.reshape(ours[name].shape))
    maps = stripes(case["samples"], case["regions"], case["image_size"])
    cut = torch.stack([patchify(picture.unsqueeze(1), patch) for picture in maps])
    method.regions = lambda *_: cut
    n = (case["image_size"] // patch) ** 2
    mask = random_mask(formula_noise(case["samples"], n), case["ratio"])
    return method, {"image": formula_image(case["samples"], case["image_size"])}, mask, cut


@faithful
def test_both_losses_and_the_logits_are_the_reference_s(reference):
    method, batch, mask, cut = reference
    assert [row.nonzero().flatten().tolist() for row in mask.hidden] == REFERENCE["hidden"]
    terms = method.losses(batch, Context(), mask)
    for name in ("reconstruction", "regions"):
        assert terms[name].item() == pytest.approx(REFERENCE[name], rel=0, abs=1e-5)
    logits = method.region_decoder(cut, method.encoder(batch["image"], mask), mask, (3, 3))
    assert logits.double().square().mean().item() == pytest.approx(REFERENCE["logits_mean_square"], rel=1e-5)
    for place, found in {"0,0,0": logits[0, 0, 0, :6], "2,2,8": logits[2, 2, 8, -6:]}.items():
        torch.testing.assert_close(found, torch.tensor(REFERENCE["logits"][place]), rtol=0, atol=1e-5)


@faithful
def test_the_loss_on_regions_teaches_the_encoder_as_in_the_reference_and_not_the_pixel_decoder(reference):
    method, batch, mask, _ = reference
    method.losses(batch, Context(), mask)["regions"].backward()
    slope = method.encoder.embed.weight.grad.double().square().mean().item()
    assert slope == pytest.approx(REFERENCE["slope_mean_square"], rel=1e-4)
    assert all(parameter.grad is None for parameter in method.decoder.parameters())


@faithful
def test_regions_change_nothing_of_mae_s_loss_and_without_them_it_is_mae():
    method, batch = tiny()
    mask = random_mask(torch.rand(4, 16, generator=torch.Generator().manual_seed(0)), 0.75)
    alone = RMAE(method.encoder, method.decoder, regions=Regions(count=0))
    terms = alone.losses(batch, Context(), mask)
    assert list(terms) == ["reconstruction"]
    context = Context(generator=torch.Generator().manual_seed(0))
    assert torch.equal(method.losses(batch, context, mask)["reconstruction"], terms["reconstruction"])


@works
@pytest.mark.parametrize(("count", "n"), [(8, 3), (4, 4), (3, 9), (5, 1)])
def test_regions_are_taken_more_than_once_only_where_there_are_too_few(count, n):
    taken = [chosen(torch.rand(count, generator=torch.Generator().manual_seed(i)), n) for i in range(50)]
    counts = torch.stack([torch.bincount(row, minlength=n) for row in taken])
    assert (counts.sum(-1) == count).all()
    assert counts.max() <= -(-count // n)
    assert len({tuple(row.tolist()) for row in taken}) > 1 or n == 1
    assert {int(row[0]) for row in taken} == set(range(n))


@works
def test_regions_of_a_picture_divide_it_at_every_scale():
    regions = Regions(scales=(500.0, 2000.0), smallest=500, finest=20)
    found = regions.find(pictures(3, 30, 40))
    assert found.sum(0).unique().tolist() == [2]
    assert found.shape[1:] == (30, 40)


@works
def test_only_regions_that_a_visible_patch_touches_are_taken_on_request():
    image = torch.zeros(1, 3, 16, 16)
    image[..., 8:] = 4
    shown = torch.zeros(1, 16, dtype=torch.bool)
    shown[0, 0] = True
    context = Context(generator=torch.Generator().manual_seed(0))
    taken = Regions(6, touching=True)({"image": image}, shown, 4, context)
    assert taken.amax(-1)[:, :, 0].all()
    untouched = Regions(6)({"image": image}, shown, 4, context)
    assert not untouched.amax(-1)[:, :, 0].all()
    nothing = Regions(6, touching=True)({"image": image}, shown & False, 4, context)
    assert nothing.shape == taken.shape
    assert not nothing.any()


@works
def test_the_control_takes_the_regions_of_another_picture():
    image = torch.stack([torch.zeros(3, 16, 16), 4 * torch.eye(16).expand(3, 16, 16)])
    shown = torch.ones(2, 16, dtype=torch.bool)
    own, other = (
        Regions(1, of=of)({"image": image}, shown, 4, Context(generator=torch.Generator().manual_seed(0)))
        for of in ("own", "other")
    )
    assert own[0].all()
    assert other[1].all()
    assert not other[0].all()


@works
def test_padding_does_not_count():
    method, image = tiny()[0], pictures(4, 3, 16, 16)
    valid = torch.ones(4, 16, 16, dtype=torch.bool)
    valid[:, :, 10:] = False
    mask = Mask.of(torch.arange(16).expand(4, 16) % 4 > 0, method.places({"image": image, "image_valid": valid}))
    losses = []
    for fill in (0.0, 9.0):
        batch = {"image": image.masked_fill(~valid.unsqueeze(1), fill), "image_valid": valid}
        context = Context(generator=torch.Generator().manual_seed(0))
        losses.append(method.losses(batch, context, mask)["regions"])
    assert losses[0].isfinite()
    assert torch.equal(losses[0], losses[1])


@works
def test_regions_of_padding_are_never_taken():
    image, valid = torch.zeros(1, 3, 16, 16), torch.zeros(1, 16, 16, dtype=torch.bool)
    image[..., :8], valid[..., :8] = 4, True
    real = []
    for batch in ({"image": image, "image_valid": valid}, {"image": image}):
        for seed in range(10):
            context = Context(generator=torch.Generator().manual_seed(seed))
            taken = Regions(1)(batch, torch.ones(1, 16, dtype=torch.bool), 4, context)
            real.append(bool(taken.unflatten(2, (4, 4))[:, :, :, :2].any()))
    assert all(real[:10])
    assert not all(real[10:])


@works
def test_what_cannot_be_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="must not be negative"):
        Regions(count=-1)
    with pytest.raises(ValueError, match="regions of 'mine' is unknown"):
        Regions(of="mine")


@works
@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_a_run_trains_shows_its_pictures_and_is_evaluated(tmp_path):
    sizes = {"image_size": 16, "patch_size": 4, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
    regions = {"region_decoder_width": 16, "region_decoder_depth": 1, "region_decoder_heads": 2, "regions_count": 2}
    run_and_look(tmp_path, "r_mae", "16x2x2", **sizes, **regions)
