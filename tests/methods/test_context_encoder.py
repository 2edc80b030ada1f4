"""Context Encoder: the layers of its released code, its losses by hand, and who learns when."""

import json
import shutil

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from formulas import formula_image, formula_weights, recorded
from small_run import make_pictures, unmask, without_drawing  # noqa: F401
from unmask.core import Context, Mask
from unmask.methods.context_encoder import ADVERSARY, RECIPE, ContextEncoder, tiny
from unmask.parts.masks.regions import Region
from unmask.parts.nets.halving import HalvingEncoder
from unmask.train.checkpoint import newest, state_hash
from unmask.train.engine import Engine
from unmask.train.plan import make_plan

faithful = pytest.mark.faithful("context_encoder")

# How context_encoder_reference.json was made: see its entry "how".
REFERENCE = recorded(__file__, "context_encoder_reference.json")


def context(phase="main", seed=0):
    return Context(progress=0.5, phase=phase, generator=torch.Generator().manual_seed(seed))


def centre(square=0.999, overlap=1, size=16, **more) -> ContextEncoder:
    encoder = HalvingEncoder(size, latent=6, width=2)
    return ContextEncoder(encoder, Region("centre", overlap), square=square, decoder_width=2, adversary_width=2, **more)


def listed(rows) -> nn.Sequential:
    """Layers as the released scripts list them; biases are 0, as there at every step."""
    layers = []
    for kind, *numbers in rows:
        if kind in ("SpatialConvolution", "SpatialFullConvolution"):
            inputs, outputs, kernel, _, stride, _, padding, _ = [*numbers, 1, 1, 0, 0][:8]
            build = nn.Conv2d if kind == "SpatialConvolution" else nn.ConvTranspose2d
            layers.append(build(inputs, outputs, kernel, stride, padding, bias=False))
        else:
            kinds = {"LeakyReLU": nn.LeakyReLU, "ReLU": nn.ReLU, "Tanh": nn.Tanh, "Sigmoid": nn.Sigmoid}
            layers.append(nn.BatchNorm2d(*numbers) if kind == "SpatialBatchNormalization" else kinds[kind](*numbers))
    return nn.Sequential(*layers)


def filled(network: nn.Module) -> nn.Module:
    """The same numbers in layers of the same shapes in the same order, whatever they are called."""
    parameters = dict(network.named_parameters())
    values = formula_weights({f"{i:03d}.weight": tuple(p.shape) for i, p in enumerate(parameters.values())})
    with torch.no_grad():
        for parameter, name in zip(parameters.values(), sorted(values), strict=True):
            parameter.copy_(values[name])
    return network


@faithful
@pytest.mark.parametrize("name", REFERENCE["networks"])
def test_networks_are_those_of_the_released_code(name):
    kind, size = name.split(", ")
    rows = REFERENCE["networks"][name]
    encoder = HalvingEncoder(int(size), latent=6, width=2)
    region = Region("centre" if kind == "centre" else "random")
    method = filled(ContextEncoder(encoder, region, decoder_width=2, adversary_width=2))
    theirs = listed([*rows["netE"], *rows["netG"]])
    mine = [*encoder.parameters(), *method.decoder.parameters()]
    with torch.no_grad():
        for parameter, other in zip(mine, theirs.parameters(), strict=True):
            other.copy_(parameter)
        image = formula_image(2, int(size)).clamp(-1, 1)
        made = method.decoder(encoder(image))
        torch.testing.assert_close(made, theirs(image), atol=1e-5, rtol=1e-5)
        judge = listed(rows["netD"])
        for parameter, other in zip(method.adversary.parameters(), judge.parameters(), strict=True):
            other.copy_(parameter)
        torch.testing.assert_close(method.adversary(made).sigmoid(), judge(made).flatten(), atol=1e-5, rtol=1e-5)


@faithful
def test_the_gradient_of_the_loss_is_that_of_the_released_code():
    """train.lua: (1 - w) of the adversary's, and w of that of the mean square, ten times as much in the band."""
    method = centre(square=0.9)
    image = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    made = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1)).mul(2).sub(1).requires_grad_()
    method._filled_in = lambda image, hidden: made
    sum(method.losses({"image": image}, context()).values()).backward()
    weights = torch.full((8, 8), 10 * 0.9)
    weights[1:7, 1:7] = 0.9
    square = 2 * (made.detach() - image[..., 4:12, 4:12]) / made.numel()
    again = made.detach().requires_grad_()
    judged = F.binary_cross_entropy(method.adversary(again).sigmoid(), torch.ones(3))
    expected = (1 - 0.9) * torch.autograd.grad(judged, again)[0] + weights * square
    torch.testing.assert_close(made.grad, expected, atol=1e-7, rtol=1e-5)


@faithful
def test_the_adversary_is_told_real_from_made():
    method, batch = centre(), {"image": formula_image(3, 16).clamp(-1, 1)}
    found = method.losses(batch, context(ADVERSARY))["telling_apart"]
    with torch.no_grad():
        made = method._filled_in(batch["image"], method.region(batch, context()))
    real, false = (method.adversary(x).sigmoid() for x in (batch["image"][..., 4:12, 4:12], made))
    expected = F.binary_cross_entropy(real, torch.ones(3)) + F.binary_cross_entropy(false, torch.zeros(3))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@faithful
def test_each_side_learns_in_its_own_phase_only():
    method, batch = centre(), {"image": formula_image(4, 16)}
    plan = make_plan(RECIPE, 40, steps=5, batch=4, precision="fp32")
    for quiet, expected in ((1, {"encoder", "decoder"}), (0, {"adversary"})):
        engine = Engine(method, plan, torch.device("cpu"))
        engine.optimisers[quiet].step = lambda: None
        before = {name: p.clone() for name, p in method.named_parameters()}
        engine.step([batch], [context()], 1e-3)
        assert {n.split(".")[0] for n, p in method.named_parameters() if not torch.equal(p, before[n])} == expected
        rates = [{group["lr"] for group in optimiser.param_groups} for optimiser in engine.optimisers]
        assert rates == [{1e-3}, {1e-4}]  # as 2e-3 and 2e-4 there


@faithful
def test_hidden_pixels_do_not_reach_the_network():
    method = centre().eval()
    image = formula_image(2, 16).clamp(-1, 1)
    other = image.clone()
    other[..., 5:11, 5:11] = 0.3  # the hidden part of the predicted 4 to 12
    hidden = method.region({"image": image}, context())
    assert hidden.sum((1, 2)).tolist() == [36, 36]
    assert torch.equal(method._filled_in(image, hidden), method._filled_in(other, hidden))
    other[..., 4, 4] += 0.3  # the band is predicted, and seen
    assert not torch.equal(method._filled_in(image, hidden), method._filled_in(other, hidden))


@faithful
@pytest.mark.parametrize(("seen", "expected"), [(None, 0.25), (1.0, 1.0), (10.0, 0.25 + 7.5)])
def test_of_a_random_region_hidden_pixels_count_and_seen_ones_as_asked(seen, expected):
    encoder = HalvingEncoder(16, latent=6, width=2)
    method = ContextEncoder(encoder, Region("random"), square=1.0, seen=seen, decoder_width=2)
    image = torch.zeros(1, 3, 16, 16)
    method._filled_in = lambda image, hidden: image + 1
    mask = Mask.of(torch.arange(16)[None] < 4)
    assert method.losses({"image": image}, context(), mask)["reconstruction"].item() == pytest.approx(expected)


def test_without_an_adversary_there_is_one_phase_and_the_square_alone():
    method, batch = centre(square=1.0), {"image": formula_image(3, 16)}
    assert [phase.name for phase in method.phases()] == ["main"]
    assert set(method.losses(batch, context())) == {"reconstruction"}


def test_only_hidden_pixels_change_when_pictures_are_filled_in():
    method, batch = tiny()
    image = batch["image"].clamp(-1, 1)
    hidden = method.region(batch, context())
    found = method.eval().inpaint({"image": image}, hidden)
    seen = ~hidden.unsqueeze(1).expand_as(image)
    torch.testing.assert_close(found[seen], image[seen], atol=1e-6, rtol=0)
    assert not torch.equal(found[~seen], image[~seen])


def test_what_is_not_there_does_not_count():
    method = tiny()[0].eval()
    image = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    valid = torch.ones(2, 16, 16, dtype=torch.bool)
    valid[:, 10:] = False
    spoiled = torch.where(valid.unsqueeze(1), image, 5.0)
    one, other = (method.losses({"image": x, "image_valid": valid}, context()) for x in (image, spoiled))
    assert torch.equal(one["reconstruction"], other["reconstruction"])
    assert not (method.region({"image": image, "image_valid": valid}, context()) & ~valid).any()


def test_mistakes_give_one_sentence():
    encoder = HalvingEncoder(16, latent=6, width=2)
    with pytest.raises(ValueError, match="square 2 is not a share"):
        ContextEncoder(encoder, square=2)
    with pytest.raises(ValueError, match="may not be negative"):
        ContextEncoder(encoder, seen=-1.0)
    with pytest.raises(ValueError, match="leaves nothing of the centre of 16x16"):
        ContextEncoder(encoder, Region(overlap=4))
    with pytest.raises(ValueError, match="takes no mask; set region_kind=random"):
        centre().losses({"image": torch.zeros(2, 3, 16, 16)}, context(), Mask.of(torch.arange(16)[None] < 4))
    with pytest.raises(ValueError, match="does not divide 16x16 into squares"):
        tiny()[0].losses({"image": torch.zeros(2, 3, 16, 16)}, context(), Mask.of(torch.arange(7)[None] < 4))
    with pytest.raises(ValueError, match="has 3 channels of 8x8, this encoder was made for 3 of 16x16"):
        encoder(torch.zeros(1, 3, 8, 8))


@pytest.mark.works("context_encoder")
@pytest.mark.parametrize("region", ["centre", "random"])
def test_pictures_are_learned_drawn_and_a_resumed_run_is_the_same(tmp_path, region):
    data = make_pictures(tmp_path / "data", count=40)
    settings = ["width=4", "latent=8", "decoder_width=4", "adversary_width=4", f"region_kind={region}"]
    options = [
        "--method",
        "context_encoder",
        "--lr",
        0.3,
        "--batch",
        8,
        "--quiet",
        "--save-every",
        4,
        "--monitor-every",
        12,
    ]
    options += [word for pair in settings for word in ("--set", pair)]
    assert unmask("pretrain", data, "--steps", 12, "--out", tmp_path / "whole", *options) == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "broken")
    rows = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    held = [row for row in rows if row["kind"] == "held_out"]
    assert held[-1]["loss/reconstruction"] < held[0]["loss/reconstruction"]
    assert {"loss/realism", "loss/telling_apart", "rankme", "knn/03"} <= set(held[-1])
    assert len(list((tmp_path / "whole" / "pictures").iterdir())) == 2
    shutil.rmtree(newest(tmp_path / "broken").path)
    assert newest(tmp_path / "broken").step == 8
    assert unmask("resume", tmp_path / "broken", "--quiet") == 0
    one, other = (newest(tmp_path / name) for name in ("whole", "broken"))
    assert one.step == other.step == 12
    for section in one.sections:
        assert state_hash(one.tensors(section)) == state_hash(other.tensors(section)), section
    assert unmask("view", tmp_path / "whole", "--images", 2) == 0
    assert unmask("evaluate", tmp_path / "whole", "--with", "inpainting") == 0
    found = json.loads((tmp_path / "whole" / "evaluation.json").read_text())["measures"]["inpainting"]
    assert found["psnr"] > 0
    assert found["sharpness"] > 0


@pytest.mark.usefixtures("without_drawing")
def test_a_method_that_fills_nothing_in_is_refused_by_the_measure(tmp_path, capsys):
    settings = [word for pair in ("width=8", "latent=3", "layers=2") for word in ("--set", pair)]
    data = make_pictures(tmp_path / "data")
    assert unmask("pretrain", data, "--method", "wae", "--epochs", 0, "--out", tmp_path / "run", *settings) == 0
    assert unmask("evaluate", tmp_path / "run", "--with", "inpainting") == 2
    assert "fills in no pixels" in capsys.readouterr().err
