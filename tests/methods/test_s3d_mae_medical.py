"""S3D: equal to its released code on the same weights and mask, and nothing hidden or padded has any influence."""

import pytest
import torch

from formulas import formula_noise, formula_weights, recorded, wave
from unmask.core import Context, Mask
from unmask.core.assembly import assemble
from unmask.methods.s3d_mae_medical import RECIPE, S3DMAEMedical, tiny
from unmask.parts.masks.random import random_mask
from unmask.parts.nets.volume_unet import VolumeDecoder, VolumeEncoder

faithful, works = pytest.mark.faithful("s3d_mae_medical"), pytest.mark.works("s3d_mae_medical")
REFERENCE = recorded(__file__, "s3d_mae_medical_reference.json")


def volumes() -> torch.Tensor:
    plane = torch.linspace(-1, 1, 16)[:, None]
    return (
        wave(2 * 16**3, 0.5).reshape(2, 1, 16, 16, 16) * (1 + torch.linspace(0, 2, 16)[:, None, None]) + plane
    ).float()


def create(cell_size: int = 4, fill: str = "densify", **settings) -> S3DMAEMedical:
    """Of the record's sizes, with its weights."""
    encoder = VolumeEncoder("4-6-8/1-2-1", 16, cell_size)
    method = S3DMAEMedical(encoder, VolumeDecoder(encoder, fill=fill), **settings)
    method.load_state_dict(formula_weights({name: value.shape for name, value in method.state_dict().items()}))
    return method


def masked(cell_size: int) -> Mask:
    return random_mask(formula_noise(2, (16 // cell_size) ** 3), 0.75, "floor_hidden")


def context(seed: int = 0) -> Context:
    return Context(generator=torch.Generator().manual_seed(seed))


@faithful
@pytest.mark.parametrize(
    "case", REFERENCE["cases"], ids=lambda case: f"{case['fill']}-{case['cell_size']}-{case['covered']}"
)
def test_maps_predictions_loss_and_gradients_are_the_references(case):
    """Also where the last stage is coarser than the cells."""
    dense = case["fill"] == "dense"
    fill, sizes = "none" if dense else case["fill"], {"sparse": not dense, "covered": case["covered"]}
    method, mask, batch = create(case["cell_size"], fill, **sizes), masked(case["cell_size"]), {"volume": volumes()}
    assert mask.count == case["kept"]
    loss = method.losses(batch, context(), mask)["reconstruction"]
    loss.backward()
    assert loss.item() == pytest.approx(case["loss"], rel=1e-5)
    prediction, seen, _ = method.reconstruct(batch, mask)
    torch.testing.assert_close(prediction[1, 0, 3, 5, :6], torch.tensor(case["prediction"]), rtol=1e-4, atol=1e-5)
    assert prediction.double().square().mean().item() == pytest.approx(case["prediction_mean_square"], rel=1e-5)
    if not dense:
        maps = method.encoder(batch["volume"], seen, case["covered"])
        for x, square in zip(maps, case["stage_mean_squares"], strict=True):
            assert x.double().square().mean().item() == pytest.approx(square, rel=1e-5)
    parameters = dict(method.named_parameters())
    for name, square in case["gradients"].items():
        assert parameters[name].grad.double().square().mean().item() == pytest.approx(square, rel=1e-3)  # float32


@faithful
@pytest.mark.parametrize(("cells", "hidden"), [(2, 6), (4, 48), (8, 384)])
def test_the_whole_part_of_the_share_is_hidden(cells, hidden):
    encoder = VolumeEncoder("4-8/1-1", 16, 16 // cells)
    method = S3DMAEMedical(encoder)
    mask = method.sampler(method, {"volume": torch.zeros(3, 1, 16, 16, 16)}, context())
    assert mask.hidden.sum(-1).tolist() == [hidden] * 3


@faithful
def test_hidden_voxels_have_no_influence_on_any_map():
    method, mask = create(), masked(4)
    first, seen, _ = method.reconstruct({"volume": volumes()}, mask)
    other = torch.where(seen.pixels.unsqueeze(1), volumes(), torch.randn(2, 1, 16, 16, 16) * 9)
    for one, two in zip(method.encoder(volumes(), seen), method.encoder(other, seen), strict=True):
        assert torch.equal(one, two)
    assert torch.equal(first, method.reconstruct({"volume": other}, mask)[0])


@faithful
def test_as_released_the_first_convolution_sees_one_voxel_into_hidden_cells():
    method, mask = create(covered=False), masked(4)
    seen = method.encoder.active(volumes(), mask)
    near = torch.nn.functional.max_pool3d(seen.pixels[:, None].float(), 3, 1, 1).bool()
    far = torch.where(near, volumes(), torch.zeros(()))
    border = torch.where(seen.pixels[:, None], volumes(), torch.zeros(()))
    maps, beyond, within = (method.encoder(x, seen, False)[0] for x in (volumes(), far, border))
    assert torch.equal(maps, beyond)
    assert not torch.allclose(maps, within)


@faithful
def test_the_loss_does_not_see_visible_voxels():
    """Nor does it average over anything but hidden voxels: with a head of zeros it is their mean square."""
    method, mask = create(), masked(4)
    for parameter in method.decoder.head.parameters():
        torch.nn.init.zeros_(parameter)
    hidden = ~method.encoder.active(volumes(), mask).pixels
    expected = volumes()[:, 0][hidden].square().mean()
    torch.testing.assert_close(method.losses({"volume": volumes()}, context(), mask)["reconstruction"], expected)


@faithful
def test_stages_coarser_than_the_cells_compute_everywhere():
    method, mask = create(2), masked(2)
    seen = method.encoder.active(volumes(), mask)
    maps = method.encoder(volumes(), seen)
    assert seen.at(maps[2]).all()
    assert not seen.at(maps[1]).all()
    assert not maps[1].masked_select(~seen.at(maps[1])).any()


@works
def test_padding_has_no_influence_on_predictions_and_is_not_in_the_loss():
    method, mask = create(), masked(4)
    small = {"volume": volumes()[..., :8, :12, :8]}
    hidden = mask.hidden.reshape(2, 4, 4, 4)[:, :2, :3, :2]
    wide = torch.zeros(2, 4, 4, 4, dtype=torch.bool)
    wide[:, :2, :3, :2] = hidden
    real = torch.zeros_like(wide)
    real[:, :2, :3, :2] = True
    canvas, valid = torch.full((2, 1, 16, 16, 16), 7.0), torch.zeros(2, 16, 16, 16, dtype=torch.bool)
    canvas[..., :8, :12, :8], valid[:, :8, :12, :8] = small["volume"], True
    padded = {"volume": canvas, "volume_valid": valid}
    assert torch.equal(method.places(padded), real.flatten(1))
    alone = method.reconstruct(small, Mask.of(hidden.flatten(1)))[0]
    among = method.reconstruct(padded, Mask.of(wide.flatten(1), real.flatten(1)))[0][..., :8, :12, :8]
    torch.testing.assert_close(among, alone, rtol=1e-4, atol=1e-5)
    first = method.losses(small, context(), Mask.of(hidden.flatten(1)))["reconstruction"]
    second = method.losses(padded, context(), Mask.of(wide.flatten(1), real.flatten(1)))["reconstruction"]
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-6)


@works
def test_volumes_that_no_stage_divides_are_filled_up():
    method = create()
    batch = {"volume": torch.randn(2, 1, 13, 9, 6)}
    assert method.encoder.grid_of(batch["volume"]) == (4, 3, 2)
    assert method.losses(batch, context())["reconstruction"].isfinite()
    assert method.segment(batch).shape == (2, 1, 13, 9, 6)
    shown, hidden = method.shown(batch, context())
    assert torch.equal(shown[:, 0][~hidden], batch["volume"][:, 0][~hidden])


@works
def test_features_are_the_means_of_every_stage_over_real_voxels():
    method = create().eval()
    canvas, valid = torch.full((2, 1, 16, 16, 16), 7.0), torch.zeros(2, 16, 16, 16, dtype=torch.bool)
    canvas[..., :8, :8, :8], valid[:, :8, :8, :8] = volumes()[..., :8, :8, :8], True
    alone = method.features({"volume": volumes()[..., :8, :8, :8]})
    padded = method.features({"volume": canvas, "volume_valid": valid})
    assert [block.shape[1] for block in alone.blocks] == [4, 6, 8]
    assert (alone.grid, padded.grid) == ((2, 2, 2), (4, 4, 4))
    for one, two in zip(alone.blocks, padded.blocks, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


@works
def test_a_share_between_two_bounds_is_drawn_for_every_batch():
    encoder = VolumeEncoder("4-8/1-1", 16, 2)
    method = S3DMAEMedical(encoder, ratio=(0.6, 0.9))
    batch = {"volume": torch.zeros(2, 1, 16, 16, 16)}
    shares = [method.sampler(method, batch, context(seed)).hidden.float().mean(1) for seed in range(40)]
    assert all(pair[0] == pair[1] for pair in shares)
    found = torch.stack(shares)[:, 0]
    assert 0.6 - 1 / 512 <= found.min() < 0.65  # the whole part of the share of 512 cells
    assert 0.85 < found.max() <= 0.9


@works
def test_the_papers_network_is_the_default():
    with torch.device("meta"):
        method = assemble(S3DMAEMedical, {})
    encoder = method.encoder
    assert encoder.widths == (32, 64, 128, 256, 320, 320)
    assert [len(stage) for stage in encoder.stages] == [1, 3, 4, 6, 6, 6]
    assert (encoder.patch_size, encoder.volume_size, method.sampler.least) == (16, (160, 160, 160), 0.75)
    assert encoder.grid_of(torch.empty(1, 1, 160, 160, 160, device="meta")) == (10, 10, 10)
    assert RECIPE.lr * 6 / 256 == pytest.approx(1e-2, rel=0.01)
    assert (RECIPE.betas[0], RECIPE.clip, RECIPE.weight_decay) == (0.99, 12.0, 3e-5)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: VolumeEncoder("4-8"), "model '4-8' is unknown"),
        (lambda: VolumeEncoder("4-8-16/1-1-1", 16, 6), "cell_size 6 and the network's last stride 4 do not divide"),
        (lambda: VolumeEncoder("4-8/1-1", 8, 8), "a volume of 8 is a single cell of 8"),
        (lambda: VolumeEncoder("4-8/1-1", 16, 4, spacing=0.0), "spacing 0.0 must be positive"),
        (lambda: VolumeDecoder(VolumeEncoder("4-8/1-1", 16, 4), fill="all"), "fill 'all' is unknown"),
        (lambda: S3DMAEMedical(tiny()[0].encoder, ratio=(0.9, 0.6)), "least and the most share"),
        (lambda: tiny()[0].features({"volume": torch.zeros(1, 2, 8, 8, 8)}), "volume has 2 channels, this encoder 1"),
    ],
)
def test_settings_and_volumes_that_do_not_fit(build, words):
    with pytest.raises(ValueError, match=words):
        build()
