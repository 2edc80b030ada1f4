"""MFM: equal to its released code, and only what was taken away is compared."""

import pytest
import torch

from formulas import formula_image, formula_weights, pictures, recorded
from small_run import make_pictures, unmask, without_drawing  # noqa: F401
from unmask.core import Context, Mask
from unmask.methods.mfm import MFM, tiny
from unmask.parts.masks.corruption import Corruption
from unmask.parts.nets.backbone import Backbone
from unmask.parts.nets.convnet import ConvNet
from unmask.parts.nets.pixel_range import PixelRange
from unmask.parts.nets.vit import ViT

faithful, works = pytest.mark.faithful("mfm"), pytest.mark.works("mfm")

# How mfm_reference.json was made: the files of the named commit, unchanged, filled by `formula_weights` under their
# names and fed with `formula_image` brought to 0 to 1.
REFERENCE = recorded(__file__, "mfm_reference.json")
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
BLOCK = (
    ("norm1.", "norm1."),
    ("norm2.", "norm2."),
    ("attention.qkv.weight", "attn.qkv.weight"),
    ("attention.out.", "attn.proj."),
    ("mlp.0.", "mlp.fc1."),
    ("mlp.2.", "mlp.fc2."),
)


def released_vit(values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The released transformer's weights as ours: its class token has a position, its keys have no bias."""
    table = values["encoder.pos_embed"][0]
    ours = {
        "class_token": values["encoder.cls_token"] + table[:1],
        "positions.table": table[1:],
        "embed.weight": values["encoder.patch_embed.proj.weight"].permute(0, 2, 3, 1).flatten(1),
        "embed.bias": values["encoder.patch_embed.proj.bias"],
        "trunk.norm.weight": values["encoder.norm.weight"],
        "trunk.norm.bias": values["encoder.norm.bias"],
    }
    for i in range(2):
        start = f"encoder.blocks.{i}."
        for name, value in values.items():
            for mine, theirs in BLOCK:
                if name.startswith(start + theirs):
                    ours[f"trunk.blocks.{i}.{mine}{name.removeprefix(start + theirs)}"] = value
        q, v = values[f"{start}attn.q_bias"], values[f"{start}attn.v_bias"]
        ours[f"trunk.blocks.{i}.attention.qkv.bias"] = torch.cat([q, torch.zeros_like(q), v])
    return ours


@pytest.fixture(params=REFERENCE["cases"], ids=lambda case: case["name"])
def reference(request):
    """A case of the record, our MFM with the same weights, its standardised pictures."""
    case, vit = request.param, request.param["network"] == "vit"
    encoder = ViT("32x2x4", 32, 8, positions="learned") if vit else ConvNet("bottleneck:64-128-256-512/1-1-1-1", 64, 32)
    corruption = Corruption("frequencies" if case["filter"] == "mfm" else "resolution", radius=5, factor=4)
    pixels = PixelRange(tuple((-MEAN / STD).tolist()), tuple(((1 - MEAN) / STD).tolist()))
    method = MFM(encoder, corruption, pixels).train()
    values = formula_weights(case["shapes"])
    ours = released_vit(values) if vit else {n.replace("encoder.", "network.", 1): v for n, v in values.items()}
    ours = {name: value for name, value in ours.items() if not name.startswith("decoder.")}
    encoder.load_state_dict(encoder.state_dict() | ours)
    p = method.stride
    with torch.no_grad():  # a 1x1 convolution and a pixel shuffle: the channel varies slowest
        method.head.weight.copy_(values["decoder.0.weight"].reshape(3, p, p, -1).permute(1, 2, 0, 3).flatten(0, 2))
        method.head.bias.copy_(values["decoder.0.bias"].reshape(3, p, p).permute(1, 2, 0).flatten())
    image = formula_image(3, case["side"])
    image = (image - image.min()) / (image.max() - image.min())
    return case, method, {"image": (image - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)}


class Fixed(Corruption):
    """The first and third picture keep the disc, the second loses it."""

    def __call__(self, values, context):
        if self.kind == "frequencies":
            return self.without_frequencies(values, torch.tensor([True, False, True]))
        return super().__call__(values, context)


@faithful
def test_corruption_prediction_loss_and_gradients_are_the_reference_s(reference, monkeypatch):
    case, method, batch = reference
    method.corruption.__class__ = Fixed
    if case["network"] == "resnet":  # its slopes jump where a rectifier switches, and processors round differently
        method.double()
        batch = {"image": batch["image"].double()}
        monkeypatch.setattr(torch.Tensor, "float", lambda self: self)
    corrupted, removed = method.corruption(method.pixels(batch["image"]), Context())
    if removed is not None:
        assert (~removed).flatten(1).sum(-1).tolist() == case["kept"]
    squares = [x.double().square().mean().item() for x in corrupted]
    assert squares == pytest.approx(case["corrupted_mean_squares"], rel=1e-5)
    for ends, place in ((corrupted[1, 2, 3, :6], "1,2"), (corrupted[2, 0, -1, -6:], "2,0")):
        torch.testing.assert_close(ends, ends.new_tensor(case["corrupted"][place]), rtol=0, atol=1e-5)
    loss = method.losses(batch, Context())["spectrum"]
    loss.backward()
    assert loss.item() == pytest.approx(case["loss"], rel=0, abs=1e-5)
    prediction = method.restored({"image": method.pixels.standardised(corrupted)})
    assert prediction.double().square().mean().item() == pytest.approx(case["prediction_mean_square"], rel=1e-5)
    for ends, place in ((prediction[0, 0, 1, :6], "0,0"), (prediction[2, 2, -2, -6:], "2,2")):
        torch.testing.assert_close(ends, ends.new_tensor(case["prediction"][place]), rtol=1e-5, atol=1e-5)
    slopes = {"decoder.0.weight": method.head.weight, "decoder.0.bias": method.head.bias}
    if case["network"] == "vit":
        slopes["encoder.patch_embed.proj.weight"] = method.encoder.embed.weight
        slopes["encoder.blocks.0.attn.qkv.weight"] = method.encoder.trunk.blocks[0].attention.qkv.weight
    else:
        network = dict(method.encoder.network.named_parameters())
        slopes |= {f"encoder.{n}": network[n] for n in ("conv1.weight", "layer2.0.conv2.weight", "layer4.0.bn3.weight")}
    for name, parameter in slopes.items():
        found = parameter.grad.double().square().mean().item()
        assert found == pytest.approx(case["gradients"][name], rel=1e-4), name


def create(model="16x2x2", corruption=None, **settings) -> MFM:
    torch.manual_seed(0)
    return MFM(Backbone(model, image_size=16, patch_size=4), corruption or Corruption(radius=3), **settings)


def drawn(seed=0) -> Context:
    return Context(generator=torch.Generator().manual_seed(seed))


@faithful
def test_only_removed_frequencies_of_the_prediction_count():
    method, batch = create(), {"image": pictures(2, 3, 16, 16)}
    _, removed = method.corrupted(batch, drawn())
    restored = []
    plain = method.restored
    method.restored = lambda batch: restored.append(plain(batch).detach().requires_grad_()) or restored[0]
    method.losses(batch, drawn())["spectrum"].backward()
    slope = torch.fft.fftshift(torch.fft.fft2(restored[0].grad), dim=(-2, -1)).abs().amax(1)
    # a frequency and its opposite are one wave; at an even side some opposites lie outside the picture's grid
    opposite = torch.roll(removed.flip(-2, -1), (1, 1), (-2, -1))
    assert (slope[~removed & ~opposite] < 1e-6).all()
    assert (slope[removed] > 1e-6).all()


@works
@pytest.mark.parametrize("model", ["16x2x2", "resnet:8-12/1-1", "convnext:8-12/1-1"])
@pytest.mark.parametrize("kind", ["frequencies", "resolution", "noise", "mixed"])
def test_every_corruption_trains_every_network(model, kind):
    mild = Corruption(kind, radius=3, factor=4)
    method = create(model, mild)
    batch = {"image": pictures(4, 3, 32, 30)}  # a blur's kernel is 21 pixels long
    loss = method.losses(batch, drawn())["spectrum"]
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters())
    assert method.features(batch).pooled.shape == (4, method.encoder.width)


@works
@pytest.mark.parametrize("model", ["16x2x2", "resnet:8-12/1-1"])
def test_what_lies_in_the_padding_has_no_influence(model):
    method, image = create(model), pictures(2, 3, 16, 16)
    valid = torch.ones(2, 16, 16, dtype=torch.bool)
    valid[:, 11:], valid[:, :, 13:] = False, False
    other = torch.where(valid.unsqueeze(1), image, 7.0)
    losses = [method.losses({"image": x, "image_valid": valid}, drawn())["spectrum"] for x in (image, other)]
    assert torch.equal(*losses)
    shown = method.pictures({"image": image, "image_valid": valid}, drawn())
    assert list(shown) == ["corrupted", "prediction", "kept + predicted\nfrequencies"]
    assert (shown["corrupted"].masked_select(~valid.unsqueeze(1)) == 0).all()


def test_a_mask_of_places_is_refused():
    with pytest.raises(ValueError, match="takes no mask of places"):
        create().losses({"image": pictures(2, 3, 16, 16)}, drawn(), Mask.nothing(2, 16))


@works
@pytest.mark.usefixtures("without_drawing")
def test_a_convolutional_network_trains_is_looked_at_and_measured_from_the_command_line(tmp_path):
    data, run = make_pictures(tmp_path / "data"), tmp_path / "run"
    sizes = ["--model", "resnet:8-12/1-1", "--set", "image_size=16", "--set", "corruption_radius=3"]
    plan = ["--steps", "2", "--monitor-every", "2", "--batch", "16", "--quiet"]
    assert unmask("pretrain", data, "--out", run, "--method", "mfm", *sizes, *plan) == 0
    assert unmask("view", run, "--out", tmp_path / "view.png") == 0
    assert unmask("evaluate", run, "--with", "knn") == 0


def test_the_backbone_is_what_the_name_says():
    assert isinstance(tiny()[0].encoder, ViT)
    assert isinstance(create("resnet:8-12/1-1").encoder, ConvNet)
    assert create("resnet:8-12/1-1").stride == create("resnet:8-12/1-1").encoder.strides[-1]
