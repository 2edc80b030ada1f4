"""CrossMAE: equal to its released code on the same weights and noise, and hidden patches are predicted one by one."""

import pytest
import torch

from formulas import formula_image, formula_noise, pictures, recorded
from reference_names import VIT, fill, replaced
from small_run import make_pictures, pretrain, unmask, without_drawing  # noqa: F401
from unmask.core import Context, Mask
from unmask.core.assembly import assemble
from unmask.evaluate.monitor import held_out
from unmask.methods.cross_mae import CrossMAE, tiny
from unmask.parts.masks.partial import partial_mask
from unmask.parts.masks.random import RandomMask
from unmask.parts.nets.cross_decoder import CrossDecoder
from unmask.parts.nets.vit import ViT

faithful, works = pytest.mark.faithful("cross_mae"), pytest.mark.works("cross_mae")

# How cross_mae_reference.json was made: the files of the named commit, unchanged, filled by `formula_weights` under
# their names, fed with `formula_image`, its torch.rand replaced by `formula_noise`.
REFERENCE = recorded(__file__, "cross_mae_reference.json")
NAMES = (
    ("decoder.mask_token", "mask_token"),
    ("decoder.mix.weights", "wfm.linear.weight"),
    ("decoder.mix.norms.", "dec_norms."),
    ("decoder.blocks.", "decoder_blocks."),
    ("decoder.norm.", "decoder_norm."),
    ("decoder.head.", "decoder_pred."),
    (".cross_attention.", ".cross_attn."),
    (".cross_attn.out.", ".cross_attn.proj."),
    (".attention.", ".self_attn."),
    (".self_attn.out.", ".self_attn.proj."),
    (".wide.", ".mlp.fc1."),
    (".narrow.", ".mlp.fc2."),
)


def released_name(name: str) -> str:
    return replaced(name, VIT if name.startswith("encoder.") else NAMES)


@pytest.fixture(params=REFERENCE["cases"], ids=lambda case: f"{case['name']} {case['predicted']}")
def reference(request):
    """A case of the record, our CrossMAE with the same weights, its batch and mask, its parameters by their names."""
    case, sizes = request.param, REFERENCE
    encoder = ViT(f"{sizes['width']}x{sizes['depth']}x{sizes['heads']}", sizes["image_size"], sizes["patch_size"])
    decoder = CrossDecoder(
        encoder,
        sizes["decoder_width"],
        sizes["decoder_depth"],
        sizes["decoder_heads"],
        mix=case["weight_fm"],
        self_attention=case["self_attn"],
    )
    method = CrossMAE(encoder, decoder, case["ratio"], case["predicted"]).eval()
    named = fill(method, released_name)
    batch = {"image": formula_image(sizes["samples"], sizes["image_size"])}
    return case, method, batch, partial_mask(formula_noise(3, 16), case["ratio"], case["predicted"]), named


@faithful
def test_masks_are_the_reference_s(reference):
    case, _, _, mask, _ = reference
    assert mask.count == case["kept"]
    assert [row.nonzero().flatten().tolist() for row in mask.hidden] == case["hidden"]


@faithful
def test_loss_layers_and_predictions_are_the_reference_s(reference):
    case, method, batch, mask, _ = reference
    with torch.no_grad():
        loss = method.losses(batch, Context(), mask)["reconstruction"]
        layers, prediction = method.layers(batch["image"], mask), method.predict(batch, mask)
    assert loss.item() == pytest.approx(case["loss"], rel=0, abs=1e-5)
    assert [x.double().square().mean().item() for x in layers] == pytest.approx(case["layer_mean_squares"], rel=1e-5)
    found = prediction[mask.hidden].reshape(3, -1, prediction.shape[-1])
    assert found.double().square().mean().item() == pytest.approx(case["prediction_mean_square"], rel=1e-5)
    for ends, expected in ((found[0, 0, :6], "0,0"), (found[2, -1, -6:], "2,-1")):
        torch.testing.assert_close(ends, torch.tensor(case["prediction"][expected]), rtol=0, atol=1e-5)


@faithful
def test_gradients_are_the_reference_s(reference):
    case, method, batch, mask, named = reference
    method.losses(batch, Context(), mask)["reconstruction"].backward()
    for name, expected in case["gradients"].items():
        assert named[name].grad.double().square().mean().item() == pytest.approx(expected, rel=1e-4), name


def create(**settings) -> CrossMAE:
    torch.manual_seed(0)
    encoder = ViT("16x2x2", image_size=16, patch_size=4)
    mix, self_attention = settings.pop("mix", True), settings.pop("self_attention", False)
    return CrossMAE(encoder, CrossDecoder(encoder, 16, 2, 2, mix, self_attention), **settings).eval()


def fewer(mask: Mask, row: int, places: list[int]) -> Mask:
    """The mask in which of this row only these places are predicted."""
    hidden = mask.hidden.clone()
    hidden[row] = False
    hidden[row, places] = True
    return Mask(hidden, mask.order, mask.count, mask.lengths)


@faithful
@pytest.mark.parametrize("mix", [True, False])
def test_a_prediction_does_not_depend_on_what_else_is_predicted(mix):
    method, batch = create(mix=mix), {"image": pictures(2, 3, 16, 16)}
    mask = partial_mask(formula_noise(2, 16), 0.75, 0.75)
    every = method.predict(batch, mask)
    first, *_, last = mask.hidden[1].nonzero().flatten().tolist()
    some = method.predict(batch, fewer(mask, 1, [first, last]))
    torch.testing.assert_close(some[0], every[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(some[1, [first, last]], every[1, [first, last]], rtol=0, atol=1e-6)
    assert some[1].abs().sum(-1).nonzero().flatten().tolist() == [first, last]


def test_with_self_attention_it_does():
    method, batch = create(self_attention=True), {"image": pictures(2, 3, 16, 16)}
    mask = partial_mask(formula_noise(2, 16), 0.75, 0.75)
    first, *_, last = mask.hidden[1].nonzero().flatten().tolist()
    every, some = method.predict(batch, mask), method.predict(batch, fewer(mask, 1, [first, last]))
    torch.testing.assert_close(some[0], every[0], rtol=0, atol=1e-6)  # queries that stand for nothing do not count
    assert (some[1, first] - every[1, first]).abs().max() > 1e-3


@faithful
def test_every_block_of_the_encoder_is_looked_at_directly():
    """With the blocks' own gradients cut, each layer still receives one from the mixture."""
    method, mask = create(), partial_mask(formula_noise(2, 16), 0.75, 0.25)
    layers = [x.detach().requires_grad_() for x in method.layers(pictures(2, 3, 16, 16), mask)]
    method.decoder(layers, mask, (4, 4)).square().sum().backward()
    assert len(layers) == 3
    assert all(x.grad.abs().sum() > 0 for x in layers)


def test_hidden_and_left_out_pixels_have_no_influence_on_predictions():
    method, image = create(), pictures(2, 3, 16, 16)
    mask = partial_mask(formula_noise(2, 16), 0.75, 0.25)
    seen = torch.zeros(2, 16).scatter(1, mask.kept, 1.0).reshape(2, 1, 4, 4)
    pixels = seen.repeat_interleave(4, 2).repeat_interleave(4, 3) > 0
    changed = torch.where(pixels, image, 9.0)
    assert torch.equal(method.predict({"image": image}, mask), method.predict({"image": changed}, mask))


@works
def test_padding_has_no_influence_on_the_loss():
    method, image = create(), pictures(2, 3, 13, 10)
    padded, valid = torch.zeros(2, 3, 20, 20), torch.zeros(2, 20, 20, dtype=torch.bool)
    padded[..., :13, :10], valid[:, :13, :10] = image, True
    hidden, places = torch.zeros(2, 2, 5, 5, dtype=torch.bool)
    hidden[:, :4, :3], places[:, :4, :3] = formula_noise(2, 12).reshape(2, 4, 3) > 0.4, True
    alone = method.losses({"image": image}, Context(), Mask.of(hidden[:, :4, :3].flatten(1)))
    batch = {"image": padded, "image_valid": valid}
    wide = method.losses(batch, Context(), Mask.of(hidden.flatten(1), places.flatten(1)))
    assert wide["reconstruction"].item() == pytest.approx(alone["reconstruction"].item(), rel=0, abs=1e-6)


@works
def test_a_run_can_measure_it_under_any_mask():
    numbers = held_out(create(), [{"image": pictures(4, 3, 16, 16)}], sampler=RandomMask(0.75))
    assert numbers["explained_variance"] < 1


@works
@pytest.mark.usefixtures("without_drawing")
def test_it_trains_is_looked_at_and_measured_from_the_command_line(tmp_path):
    data, run = make_pictures(tmp_path / "data"), tmp_path / "run"
    assert pretrain(data, run, "--method", "cross_mae", "--steps", 2, "--monitor-every", 2) == 0
    assert unmask("view", run, "--out", tmp_path / "view.png") == 0
    assert unmask("evaluate", run, "--with", "knn") == 0


def test_the_parts_are_settings():
    settings = {"model": "16x2x2", "image_size": 16, "patch_size": 4, "decoder_width": 8, "decoder_heads": 2}
    method = assemble(CrossMAE, settings | {"predicted": "0.75", "decoder_mix": "false", "decoder_depth": "1"})
    assert (method.sampler.predicted, method.decoder.mix, len(method.decoder.blocks)) == (0.75, None, 1)
    assert all(p.requires_grad for p in method.parameters())
    assert not tiny()[0].encoder.trunk.norm.weight.requires_grad
