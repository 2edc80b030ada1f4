"""Point-MAE: equal to its released code on the same weights and mask, and nothing hidden reaches the encoder."""

import pytest
import torch

from formulas import formula_noise, recorded, wave
from reference_names import fill, replaced
from unmask.core import Context, Mask
from unmask.core.assembly import assemble
from unmask.methods.point_mae import RECIPE, PointMAE, tiny
from unmask.parts.losses.chamfer import chamfer
from unmask.parts.masks.centres import nearest_mask
from unmask.parts.masks.random import random_mask
from unmask.parts.nets.point_transformer import PointDecoder, PointTransformer
from unmask.parts.ops.points import Groups

faithful, works = pytest.mark.faithful("point_mae"), pytest.mark.works("point_mae")
REFERENCE = recorded(__file__, "point_mae_reference.json")
NAMES = (
    ("decoder.mask_token", "mask_token"),
    ("decoder.positions.", "decoder_pos_embed."),
    ("decoder.head.", "increase_dim.0."),
    ("decoder.trunk.", "MAE_decoder."),
    ("encoder.embed.first.", "MAE_encoder.encoder.first_conv."),
    ("encoder.embed.joined.", "MAE_encoder.encoder.second_conv.0."),
    ("encoder.embed.second.0.", "MAE_encoder.encoder.second_conv.1."),
    ("encoder.embed.second.2.", "MAE_encoder.encoder.second_conv.3."),
    ("encoder.positions.", "MAE_encoder.pos_embed."),
    ("encoder.trunk.blocks.", "MAE_encoder.blocks.blocks."),
    ("encoder.trunk.norm.", "MAE_encoder.norm."),
    (".attention.qkv.", ".attn.qkv."),
    (".attention.out.", ".attn.proj."),
    (".mlp.0.", ".mlp.fc1."),
    (".mlp.2.", ".mlp.fc2."),
)


def released_name(name: str) -> str:
    return (
        name
        if name.startswith("MAE_")
        else replaced(name, [(a, b) for a, b in NAMES if a[0] == "." or name.startswith(a)])
    )


def clouds() -> torch.Tensor:
    points = wave(3 * 64 * 3, 0.5).reshape(3, 64, 3).float()
    points[:, 10] = torch.tensor([0.02, 0.01, 0.0])
    points = points - points.mean(1, keepdim=True)
    return points / points.norm(dim=-1).amax(1)[:, None, None]


def create(**settings) -> PointMAE:
    """Of the record's sizes, with its weights."""
    encoder = PointTransformer("24x2x2", 64, 10, 8, drop_path=0.0, skip_centre=True)
    method = PointMAE(encoder, PointDecoder(encoder, 2, 3, 0.0), **settings)
    convolutions = {"first_conv.0": (128, 3), "first_conv.3": (256, 128), "second_conv.0": (512, 512)}
    convolutions["second_conv.3"] = (24, 512)
    shapes = {f"MAE_encoder.encoder.{name}.weight": (*size, 1) for name, size in convolutions.items()}
    fill(method, released_name, shapes | {"mask_token": (1, 1, 24), "increase_dim.0.weight": (24, 24, 1)})
    return method


def recorded_mask() -> Mask:
    return random_mask(formula_noise(3, 10), 0.6, "floor_hidden")


def context(seed: int = 0) -> Context:
    return Context(generator=torch.Generator().manual_seed(seed))


@faithful
def test_the_mask_of_the_same_noise_hides_the_same_patches():
    assert [row.nonzero().flatten().tolist() for row in recorded_mask().hidden] == REFERENCE["hidden"]


@faithful
def test_patches_are_the_references():
    groups = create().encoder.grouped(clouds())
    torch.testing.assert_close(groups.centres[0], torch.tensor(REFERENCE["centres"]), rtol=0, atol=0)
    torch.testing.assert_close(groups.patches[1, 3], torch.tensor(REFERENCE["patch"]), rtol=0, atol=1e-7)


@faithful
@pytest.mark.parametrize(("name", "distance"), [("cdl2", "squared"), ("cdl1", "plain")])
def test_losses_gradients_and_running_statistics_are_the_references(name, distance):
    expected, method = REFERENCE[name], create(distance=distance).train()
    loss = method.losses({"points": clouds()}, context(), recorded_mask())["reconstruction"]
    loss.backward()
    assert loss.item() == pytest.approx(expected["train"], rel=1e-5)
    slopes = {released_name(name): parameter.grad for name, parameter in method.named_parameters()}
    for place, found in expected["gradients"].items():
        assert slopes[place].double().square().mean().item() == pytest.approx(found["mean_square"], rel=1e-4)  # float32
        torch.testing.assert_close(slopes[place].flatten()[:3], torch.tensor(found["first"]), rtol=1e-3, atol=1e-6)
    embed = method.encoder.embed
    torch.testing.assert_close(embed.first[1].running_mean[:4], torch.tensor(expected["running_mean"]))
    torch.testing.assert_close(embed.second[0].running_var[:4], torch.tensor(expected["running_var"]))
    loss = method.eval().losses({"points": clouds()}, context(), recorded_mask())["reconstruction"]
    assert loss.item() == pytest.approx(expected["eval"], rel=1e-5)


@faithful
def test_what_the_encoder_says_of_visible_patches_is_the_references():
    method = create().train()
    method.losses({"points": clouds()}, context(), recorded_mask())  # the record was made after one step of training
    with torch.no_grad():
        tokens = method.eval().encoder(method.encoder.grouped(clouds()), recorded_mask())
    assert tokens.double().square().mean().item() == pytest.approx(REFERENCE["visible_mean_square"], rel=1e-5)
    for place, values in REFERENCE["visible"].items():
        number = {"0": 0, "2": 3}[place]  # the reference keeps visible patches in the order of their places
        row = recorded_mask().kept[int(place)].argsort()[number]
        torch.testing.assert_close(tokens[int(place), row, :6], torch.tensor(values), rtol=1e-4, atol=1e-5)


@faithful
def test_a_block_is_the_references_for_the_same_first_patch():
    centres = create().encoder.grouped(clouds()).centres
    noise = (torch.tensor(REFERENCE["block"]["first"]) + 0.5) / 10
    found = nearest_mask(centres, noise, 0.6).hidden
    assert [row.nonzero().flatten().tolist() for row in found] == REFERENCE["block"]["hidden"]


@faithful
@pytest.mark.parametrize("hides", ["random", "block"])
@pytest.mark.parametrize(("groups", "hidden"), [(8, 4), (64, 38)])
def test_the_whole_part_of_the_share_is_hidden(hides, groups, hidden):
    encoder = PointTransformer("16x1x2", 1024, groups, 4, embed_width=4)
    method = PointMAE(encoder, hides=hides)
    centres = torch.randn(3, groups, 3)
    batch = {"points": torch.randn(3, 1024, 3), "centres": centres}
    mask = method.sampler(method, batch, context())
    assert mask.hidden.sum(-1).tolist() == [hidden] * 3


@faithful
def test_points_of_hidden_patches_do_not_reach_the_encoder():
    """In evaluation mode: in training the batch norm of the tokens sees all patches, as in the reference."""
    method = create().eval()
    groups, mask = method.encoder.grouped(clouds()), recorded_mask()
    other = torch.where(mask.hidden[..., None, None], torch.randn_like(groups.patches), groups.patches)
    moved = torch.where(mask.hidden[..., None], torch.randn_like(groups.centres), groups.centres)
    with torch.no_grad():
        assert torch.equal(method.encoder(groups, mask), method.encoder(Groups(moved, other), mask))


@faithful
def test_in_training_hidden_patches_take_part_in_the_batch_norm():
    method = create().train()
    groups, mask = method.encoder.grouped(clouds()), recorded_mask()
    other = torch.where(mask.hidden[..., None, None], 3 * groups.patches, groups.patches)
    assert not torch.allclose(method.encoder(groups, mask), method.encoder(Groups(groups.centres, other), mask))


@faithful
def test_mask_tokens_in_the_encoder_tell_it_where_hidden_patches_are():
    method = create(shifted=False).eval()
    groups, mask = method.encoder.grouped(clouds()), recorded_mask()
    moved = groups.centres + mask.hidden[..., None] * 0.5
    fill = method.decoder.mask_token
    with torch.no_grad():
        first, second = (method.encoder(Groups(c, groups.patches), mask, fill=fill) for c in (groups.centres, moved))
        assert first.shape[1] == 10
        assert not torch.allclose(first, second)
        other = torch.where(mask.hidden[..., None, None], torch.randn_like(groups.patches), groups.patches)
        assert torch.equal(first, method.encoder(Groups(groups.centres, other), mask, fill=fill))


@faithful
def test_the_order_of_the_points_does_not_matter():
    """But for the first, where farthest points begin."""
    method, points = create().eval(), clouds()
    order = torch.cat([torch.zeros(1, dtype=torch.long), 1 + torch.randperm(63)])
    first, second = (method.losses({"points": p}, context(), recorded_mask()) for p in (points, points[:, order]))
    torch.testing.assert_close(first["reconstruction"], second["reconstruction"], rtol=1e-5, atol=1e-6)


@faithful
def test_the_loss_is_the_distance_of_hidden_patches_alone():
    method, mask = create().eval(), recorded_mask()
    groups = method.encoder.grouped(clouds())
    found = method.patches(groups, mask)
    assert found.shape == groups.patches.shape
    expected = chamfer(found[mask.hidden], groups.patches[mask.hidden])
    assert torch.equal(method.losses({"points": clouds()}, context(), mask)["reconstruction"], expected)


@works
def test_what_is_shown_are_the_points_of_visible_patches_and_predictions_elsewhere():
    method, batch = tiny()
    method.eval()
    points, predicted = method.shown(batch, context())
    assert points.shape == (4, 64, 3)
    assert predicted.sum(-1).tolist() == [4 * 8] * 4
    distance = torch.cdist(points, batch["points"], compute_mode="donot_use_mm_for_euclid_dist").amin(-1)
    assert distance[~predicted].max() < 1e-6
    assert distance[predicted].median() > 1e-3


@works
def test_features_are_the_largest_values_over_patches_after_every_block():
    method, batch = tiny()
    found = method.eval().features(batch)
    assert found.grid == (8,)
    assert torch.equal(found.pooled, found.tokens.amax(1))
    assert len(found.blocks) == 2
    assert torch.equal(found.blocks[-1], found.pooled)


@works
@pytest.mark.parametrize("points", [torch.ones(2, 64, 3), torch.zeros(2, 64, 3)])
def test_clouds_of_identical_points_have_a_finite_loss_and_gradient(points):
    method, _ = tiny()
    loss = method.losses({"points": points}, context())["reconstruction"]
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in method.parameters())


@works
def test_the_papers_network_is_the_default_but_for_what_data_decide():
    with torch.device("meta"):
        method = assemble(PointMAE, {})
    encoder = method.encoder
    assert (encoder.points, encoder.groups, encoder.group_size, tuple(encoder.shape)) == (1024, 64, 32, (384, 12, 6))
    assert (len(method.decoder.trunk.blocks), method.decoder.trunk.blocks[0].attention.heads) == (4, 6)
    assert method.sampler.ratio == 0.6
    assert (RECIPE.lr, RECIPE.batch, RECIPE.epochs, RECIPE.warmup) == (2e-3, 128, 300, 10)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: PointTransformer("16x1x2", 32, 40), "40 groups of 32 points cannot be made of 32 points"),
        (lambda: PointTransformer("16x1x2", 16), "1 groups of 32 points cannot be made of 16 points"),
        (lambda: PointTransformer("16x1x2", 64, 8, 0), "group_size 0"),
        (lambda: PointMAE(tiny()[0].encoder, hides="all"), "hides 'all' is unknown; choose one of random, block"),
        (lambda: PointMAE(tiny()[0].encoder, distance="far"), "distance 'far' is unknown"),
        (lambda: PointMAE(tiny()[0].encoder, ratio=1.0), "mask ratio 1.0"),
        (lambda: tiny()[0].features({"points": torch.zeros(1, 4, 3)}), "8 of 4 points cannot be chosen"),
    ],
)
def test_settings_and_clouds_that_do_not_fit(build, words):
    with pytest.raises(ValueError, match=words):
        build()
