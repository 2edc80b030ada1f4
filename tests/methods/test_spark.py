"""SparK: equal to its released code on the same weights and noise, and nothing hidden or padded has any influence."""

import math

import pytest
import torch
import torchvision

from formulas import formula_image, formula_noise, formula_weights, pictures, recorded
from unmask.app.pictures import reconstruction_panel
from unmask.core import Context, Mask
from unmask.core.assembly import assemble
from unmask.data.card import DataCard
from unmask.evaluate.monitor import held_out
from unmask.methods.spark import RECIPE, SparK, tiny
from unmask.parts.masks.random import RandomMask, random_mask
from unmask.parts.nets.convnet import ConvNet
from unmask.parts.nets.masked_conv import MaskedBatchNorm2d
from unmask.parts.nets.unet_decoder import UNetDecoder

faithful, works = pytest.mark.faithful("spark"), pytest.mark.works("spark")

# How spark_reference.json was made: the named files of the named commit, unchanged, with a current timm, filled by
# `formula_weights` under their names, fed with `formula_image`; torch.rand of its `mask` replaced by `formula_noise`.
# First one forward pass in train mode, after which running statistics were noted, then one in eval mode.
REFERENCE = recorded(__file__, "spark_reference.json")
NAMES = (
    ("encoder.network.", "sparse_encoder.sp_cnn."),
    (".enlarge.", ".up_sample."),
    ("decoder.blocks.", "dense_decoder.dec."),
    ("decoder.head.", "dense_decoder.proj."),
    (".conv1.", ".conv.0."),
    (".norm1.", ".conv.1."),
    (".conv2.", ".conv.3."),
    (".norm2.", ".conv.4."),
)


def released_name(name: str) -> str:
    """What the released code calls a tensor of ours."""
    if name.startswith("decoder.densify."):
        _, _, stage, part, *rest = name.split(".")
        plural = {"norm": "densify_norms", "project": "densify_projs", "mask_token": "mask_tokens"}[part]
        return ".".join([plural, stage, *rest])
    for ours, theirs in NAMES[: 2 if name.startswith("encoder.") else None]:
        name = name.replace(ours, theirs)
    return name


@pytest.fixture(params=REFERENCE["cases"], ids=lambda case: case["name"])
def reference(request):
    """A case of the record, our SparK with the same weights in train mode, its batch and its mask."""
    case = request.param
    encoder = ConvNet(case["model"], case["image_size"], 32)
    method = SparK(encoder, UNetDecoder(encoder, case["decoder_width"]), case["ratio"])
    ours = {released_name(n): p for n, p in method.named_parameters()}
    values = formula_weights({n: (1, *p.shape, 1, 1) if n[:5] == "mask_" else p.shape for n, p in ours.items()})
    with torch.no_grad():
        for name, parameter in ours.items():
            parameter.copy_(values[name].reshape(parameter.shape))
    noise = formula_noise(case["samples"], 9)
    mask = random_mask(noise, case["ratio"], method.sampler.rule)
    return case, method.train(), {"image": formula_image(case["samples"], case["image_size"])}, mask


@faithful
def test_masks_are_the_reference_s(reference):
    case, _, _, mask = reference
    assert mask.count == case["kept"]
    assert [row.nonzero().flatten().tolist() for row in mask.hidden] == case["hidden"]


@faithful
def test_loss_stages_predictions_and_running_statistics_are_the_reference_s(reference):
    case, method, batch, mask = reference
    for mode in ("train", "eval"):
        expected = case[mode]
        method.train(mode == "train")
        twin = SparK(method.encoder, method.decoder, case["ratio"])  # so that statistics are updated once only
        before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
        with torch.no_grad():
            stages = twin.encoder(batch["image"], twin.encoder.active(batch["image"], mask))
            twin.load_state_dict(before)
            prediction = twin.predict(batch, mask)
            twin.load_state_dict(before)
            loss = method.losses(batch, Context(), mask)["reconstruction"]
        assert loss.item() == pytest.approx(expected["loss"], rel=0, abs=1e-5)
        for stage, square in zip(stages, expected["stage_mean_squares"], strict=True):
            assert stage.double().square().mean().item() == pytest.approx(square, rel=1e-5)
        assert prediction.double().square().mean().item() == pytest.approx(expected["prediction_mean_square"], rel=1e-5)
        for place, found in {"0,0": prediction[0, 0, :6], "2,8": prediction[2, 8, -6:]}.items():
            torch.testing.assert_close(found, torch.tensor(expected["prediction"][place]), rtol=0, atol=1e-4)
        for place, values in expected["last_stage"].items():
            sample, row, column = map(int, place.split(","))
            found = stages[-1][sample, :6, row, column]
            torch.testing.assert_close(found, torch.tensor(values), rtol=1e-5, atol=1e-5)
        if mode == "train":
            state = {released_name(name): tensor for name, tensor in method.state_dict().items()}
            for name, values in case["after_one_step"].items():
                torch.testing.assert_close(state[name][:4], torch.tensor(values), rtol=1e-5, atol=1e-6)


@faithful
def test_gradients_are_the_reference_s(reference):
    """In double precision, since those of early layers are sums with much cancellation."""
    case, method, batch, mask = reference
    method.double().losses({"image": batch["image"].double()}, Context(), mask)["reconstruction"].backward()
    slopes = {released_name(name): parameter.grad for name, parameter in method.named_parameters()}
    for name, expected in case["gradients"].items():
        slope, first = slopes[name], torch.tensor(expected["first"])
        assert slope.double().square().mean().item() == pytest.approx(expected["mean_square"], rel=1e-4)
        torch.testing.assert_close(slope.flatten()[:4], first.double(), rtol=1e-4, atol=1e-6)  # the loss is in float32


@faithful
def test_twenty_of_forty_nine_cells_stay_visible():
    noise = torch.rand(3, 49, generator=torch.Generator().manual_seed(0))
    sampler = tiny()[0].sampler
    seen = (~random_mask(noise, sampler.ratio, sampler.rule).hidden).sum(-1)
    assert seen.tolist() == [REFERENCE["kept of 49"]] * 3 == [20] * 3


SMALL = ["resnet:8-12-16-24/1-2-1-1", "bottleneck:8-8-12-16/1-1-1-2", "convnext:8-12-16-24/1-1-2-1"]


@pytest.fixture(params=SMALL, ids=lambda model: model.split(":")[0])
def method(request):
    """A small SparK with weights far from their first values, so that every path counts."""
    return create(request.param)


def create(model, image_size=64, cell_size=None, channels=3, width=16, **settings):
    torch.manual_seed(0)
    encoder = ConvNet(model, image_size, cell_size, channels)
    method = SparK(encoder, UNetDecoder(encoder, width), **settings)
    for name, parameter in method.named_parameters():
        if parameter.ndim == 1:
            torch.nn.init.uniform_(parameter, 0.5, 1.5) if "bias" not in name else torch.nn.init.normal_(parameter)
    return method


def masked(method, image, seed=0):
    n = math.prod(method.encoder.grid_of(image))
    return random_mask(torch.rand(len(image), n, generator=torch.Generator().manual_seed(seed)), 0.6, "round")


@faithful
@pytest.mark.parametrize("training", [True, False])
def test_inactive_positions_are_exactly_0_at_every_stage_and_no_hidden_pixel_is_read(method, training):
    method.train(training)
    image = pictures(2, 3, 64, 64)
    active = method.encoder.active(image, masked(method, image))
    changed = torch.where(active.pixels.unsqueeze(1), image, torch.nan)
    for stage, other in zip(method.encoder(image, active), method.encoder(changed, active), strict=True):
        assert torch.equal(stage, other)
        assert not stage.masked_select(~active.at(stage)).any()
        assert stage.masked_select(active.at(stage)).ne(0).any()


@faithful
@pytest.mark.parametrize("training", [True, False])
def test_with_every_cell_active_the_sparse_network_is_the_dense_one(method, training):
    method.train(training)
    image = pictures(2, 3, 64, 64)
    start = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    dense = method.encoder(image)
    dense_state = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    method.load_state_dict(start)
    active = method.encoder.active(image, Mask.nothing(2, math.prod(method.encoder.grid)))
    for one, other in zip(dense, method.encoder(image, active), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert list(start) == list(method.state_dict())  # one network: the names cannot differ
    for name, tensor in method.state_dict().items():
        torch.testing.assert_close(tensor, dense_state[name], rtol=1e-5, atol=1e-6)


@faithful
def test_a_lone_cell_is_encoded_as_if_it_were_the_picture(method):
    method.eval()
    image = pictures(1, 3, 64, 64)
    side, hidden = method.encoder.patch_size, torch.ones(1, math.prod(method.encoder.grid), dtype=torch.bool)
    row, column = 1, method.encoder.grid[1] - 2
    hidden[0, row * method.encoder.grid[1] + column] = False
    crop = image[..., row * side : (row + 1) * side, column * side : (column + 1) * side]
    stages = method.encoder(image, method.encoder.active(image, Mask.of(hidden)))
    for stage, alone in zip(stages, method.encoder(crop), strict=True):
        h, w = alone.shape[-2:]
        found = stage[..., row * h : (row + 1) * h, column * w : (column + 1) * w]
        torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)


@faithful
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_resnets_are_torchvision_s_with_its_names(name):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)().eval()
    ours = ConvNet(name, 64, 32).network.eval()
    wanted = {n: t for n, t in theirs.state_dict().items() if not n.startswith("fc")}
    ours.load_state_dict(wanted)
    image = pictures(2, 3, 64, 64)
    with torch.no_grad():
        pooled = ours(image)[-1].mean((-2, -1))
        theirs.fc = torch.nn.Identity()
        torch.testing.assert_close(pooled, theirs(image), rtol=1e-4, atol=1e-5)


@faithful
def test_dense_convolutions_spread_a_visible_cell_stage_by_stage_and_sparse_ones_do_not():
    """The paper's reason: with dense convolutions the pattern of the mask vanishes with depth."""
    encoder = create("resnet:8-12-16-24/1-1-1-1", 128, 8).encoder.eval()
    image, hidden = pictures(1, 3, 128, 128), torch.ones(1, 256, dtype=torch.bool)
    hidden[0, 136] = False
    active = encoder.active(image, Mask.of(hidden))
    seen = image * active.pixels.unsqueeze(1)
    reached = {
        kind: [
            (stage - blank).abs().sum(1).ne(0).float().mean().item()
            for stage, blank in zip(encoder(seen, where), encoder(seen * 0, where), strict=True)
        ]
        for kind, where in {"sparse": active, "dense": None}.items()
    }
    assert reached["sparse"] == [1 / 256] * 4
    assert 1 / 256 < reached["dense"][0] < reached["dense"][1] < reached["dense"][2] < reached["dense"][3]


@works
@pytest.mark.parametrize("model", SMALL)
@pytest.mark.parametrize("training", [True, False])
def test_padding_has_no_influence_on_predictions(model, training):
    method = create(model, image_size=24).train(training)
    small, cell = pictures(2, 3, 24, 29), method.encoder.patch_size
    canvas, valid = torch.full((2, 3, 48, 64), 9.0), torch.zeros(2, 48, 64, dtype=torch.bool)
    canvas[..., :24, :29], valid[:, :24, :29] = small, True
    rows, columns = method.encoder.grid_of(small)
    mask = masked(method, small)
    hidden = torch.zeros(2, 48 // cell, 64 // cell, dtype=torch.bool)
    hidden[:, :rows, :columns] = mask.hidden.reshape(2, rows, columns)
    real = torch.zeros_like(hidden)
    real[:, :rows, :columns] = True
    batch = {"image": canvas, "image_valid": valid}
    assert torch.equal(method.places(batch), real.flatten(1))
    wide = method.predict(batch, Mask.of(hidden.flatten(1), real.flatten(1))).reshape(*real.shape, -1)
    method = create(model, image_size=24).train(training)
    alone = method.predict({"image": small}, mask).reshape(2, rows, columns, -1)
    torch.testing.assert_close(wide[:, :rows, :columns], alone, rtol=1e-4, atol=1e-4)


@works
@pytest.mark.parametrize("model", SMALL)
def test_features_of_a_padded_picture_are_those_of_the_picture_alone(model):
    method = create(model, image_size=24).eval()
    small = pictures(2, 3, 24, 29)
    canvas, valid = torch.full((2, 3, 48, 64), 9.0), torch.zeros(2, 48, 64, dtype=torch.bool)
    canvas[..., :24, :29], valid[:, :24, :29] = small, True
    alone, padded = method.features({"image": small}), method.features({"image": canvas, "image_valid": valid})
    for one, other in zip(alone.blocks, padded.blocks, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@works
def test_features_have_one_vector_a_cell_also_where_a_cell_is_several_positions():
    method = create(SMALL[0], 64, 48).eval()
    image = pictures(2, 3, 96, 64)
    features = method.features({"image": image})
    assert method.encoder.strides == (2, 4, 8, 16)
    assert features.grid == method.encoder.grid_of(image) == (2, 2)
    assert features.tokens.shape == (2, 4, 24)
    assert [block.shape[1] for block in features.blocks] == [8, 12, 16, 24]
    torch.testing.assert_close(features.pooled, features.blocks[-1])


@works
@pytest.mark.parametrize("model", SMALL)
def test_what_a_run_looks_at_works(model):
    method = create(model, 32, channels=2)
    batch = {"image": pictures(8, 2, 32, 32), "label": torch.arange(8) % 2}
    numbers = held_out(method, [batch], sampler=RandomMask(0.75))
    assert math.isfinite(numbers["explained_variance"])
    assert [key for key in numbers if key.startswith("knn/")] == [f"knn/{i:02d}" for i in range(1, 5)]
    spread = {"minimum": (-3.0, -3.0), "maximum": (3.0, 3.0), "mean": (0.0, 0.0), "std": (1.0, 1.0)}
    card = DataCard("pictures", "0", 8, (), {}, ("near", "far"), "float32", sizes=((32, 32),) * 3, **spread)
    assert reconstruction_panel(method, {"image": batch["image"][:2]}, card).axes


@works
@pytest.mark.parametrize("channels", [1, 4, 13])
def test_any_number_of_channels_trains(channels):
    method = create(SMALL[2], 32, channels=channels)
    loss = method.losses({"image": pictures(2, channels, 32, 32)}, Context(generator=torch.Generator().manual_seed(0)))
    loss["reconstruction"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters())


@works
def test_the_ablations_of_the_paper_are_settings():
    settings = {"model": SMALL[0], "image_size": "32", "decoder_width": "16", "decoder_stages": "1", "sparse": "false"}
    method = assemble(SparK, settings)
    batch, context = {"image": pictures(2, 3, 32, 32)}, Context(generator=torch.Generator().manual_seed(0))
    loss = method.losses(batch, context)["reconstruction"]
    loss.backward()
    assert len(method.decoder.densify) == 1
    assert all(p.grad is not None for p in method.parameters())
    assert sum(isinstance(m, MaskedBatchNorm2d) for m in method.decoder.densify.modules()) == 1


@works
def test_the_recipe_is_the_paper_s():
    assert (RECIPE.optimizer, RECIPE.lr, RECIPE.batch, RECIPE.clip, RECIPE.crop) == ("lamb", 2e-4, 4096, 5.0, (0.67, 1))
