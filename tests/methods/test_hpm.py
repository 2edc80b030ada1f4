"""HPM: equal to its released code on the same weights, and its own facts."""

import pytest
import torch

from formulas import formula_image, pictures, recorded
from reference_names import VIT, fill, replaced
from small_run import SIZES, without_drawing  # noqa: F401
from unmask.app.masking import use_mask
from unmask.core import Context
from unmask.methods.hpm import HPM, RECIPE, tiny
from unmask.methods.hpm_bootstrap import HPMBootstrap
from unmask.methods.mae import MAE
from unmask.parts.masks.hard import HardMask, hard_mask
from unmask.parts.nets.lag import Decay
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT
from unmask.train.checkpoint import newest
from whole_run import resumes_alike, run_and_look

faithful, works = pytest.mark.faithful("hpm"), pytest.mark.works("hpm")

# How hpm_reference.json was made is said in it.
REFERENCE = recorded(__file__, "hpm_reference.json")
DECODERS = (
    ("decoder.embed.", "decoder_embed."),
    ("decoder.mask_token", "mask_token"),
    ("decoder.trunk.blocks.", "decoder_blocks."),
    ("decoder.trunk.norm.", "decoder_norm."),
    ("decoder.head.", "decoder_pred."),
    ("predictor.trunk.blocks.", "decoder_blocks_losspred."),
    ("predictor.trunk.norm.", "decoder_norm_losspred."),
    ("predictor.head.", "decoder_pred_losspred."),
)


def released_name(name: str) -> str:
    """What the released code calls a parameter of ours."""
    return replaced(name, DECODERS + VIT)


@pytest.fixture(params=REFERENCE["cases"], ids=lambda case: f"{case['target']}{case['epoch']}")
def reference(request):
    """A case of the record, our method with the same weights, its batch, and the mask made as there."""
    case = request.param
    encoder = ViT("16x2x2", 24, 4)
    decoder = TokenDecoder(encoder, 8, 2, 2)
    if case["target"] == "features":
        method = HPMBootstrap(encoder, decoder, target="features")
    else:
        method = HPM(encoder, decoder, normalise=case["normalise"])
    fill(method, released_name)
    method.teacher.follow(method._student(), 0.0)
    batch = {"image": formula_image(2, 24)}
    noise = torch.zeros(2, 36)
    for row, order in zip(noise, case["order_of_the_rest"], strict=True):
        row[torch.tensor(order)] = torch.arange(len(order)) / 36  # the first of the order stay visible
    share = 0.5 * (case["epoch"] + 1) / case["epochs"]
    return case, method, batch, hard_mask(method.predicted_losses(batch), noise, 0.75, share)


@faithful
def test_predicted_losses_of_the_whole_picture_are_the_reference_s(reference):
    case, method, batch, _ = reference
    torch.testing.assert_close(
        method.predicted_losses(batch), torch.tensor(case["predicted_losses"]), rtol=0, atol=1e-5
    )


@faithful
def test_masks_are_the_reference_s_from_the_same_order_of_the_rest(reference):
    case, _, _, mask = reference
    assert [row.nonzero().flatten().tolist() for row in mask.hidden] == case["hidden"]


@faithful
@pytest.mark.parametrize("learns", ["order", "value"])
def test_losses_and_gradients_are_the_reference_s(reference, learns):
    case, method, batch, mask = reference
    method.learns = learns
    terms = method.losses(batch, Context(), mask)
    assert terms["reconstruction"].item() == pytest.approx(case["reconstruction"], rel=0, abs=1e-5)
    assert terms["loss_prediction"].item() == pytest.approx(case[learns], rel=0, abs=1e-5)
    terms["loss_prediction"].backward()
    slopes = {released_name(n): p.grad for n, p in method.named_parameters()}
    for name, expected in case[f"{learns}_gradients"].items():
        assert slopes[name].double().square().mean().item() == pytest.approx(expected, rel=2e-3), name  # float32
    assert slopes["decoder_pred.weight"] is None  # the errors are not pushed up to be told apart


@faithful
def test_errors_of_every_hidden_place_are_the_reference_s(reference):
    case, method, batch, mask = reference
    scale = 16 if case["target"] == "features" else 1  # the reference adds up squares of features
    with torch.no_grad():
        errors = (method.predict(batch, mask) - method.target(batch).values).square().mean(-1) * scale
    found = errors[mask.hidden].reshape(2, -1)
    torch.testing.assert_close(found, torch.tensor(case["errors"]), rtol=1e-5, atol=1e-5)


@faithful
def test_at_the_start_of_a_training_masks_are_random_and_the_reconstruction_is_mae_s():
    torch.manual_seed(0)
    method, batch = tiny()
    plain = MAE(method.encoder, method.decoder, normalise=False)
    context = [Context(progress=0.0, generator=torch.Generator().manual_seed(0)) for _ in range(2)]
    found = method.losses(batch, context[0])["reconstruction"]
    assert torch.equal(found, plain.losses(batch, context[1])["reconstruction"])


@faithful
@pytest.mark.parametrize(("progress", "decay"), [(0.0, 0.999), (0.25, 0.99945), (0.5, 0.9999), (1.0, 0.9999)])
def test_the_slow_copy_follows_with_a_decay_that_rises_over_half_of_the_training(progress, decay):
    method, _ = tiny()
    before = method.teacher.network["predictor"].head.bias.clone()
    method.predictor.head.bias.data += 1.0
    method.after_step(Context(progress=progress))
    moved = method.teacher.network["predictor"].head.bias - before
    torch.testing.assert_close(moved, torch.full_like(moved, 1 - decay), rtol=1e-2, atol=0)


def test_whoever_trains_too_briefly_for_the_slow_copy_is_told_so_and_what_suits():
    method, _ = tiny()
    (remark,) = method.remarks(938)
    assert "leaves 74% of the slow copy as it began after 938 steps" in remark
    assert "decay=0.8667,0.9867 suits" in remark
    assert method.remarks(20_000) == []
    method.decay = Decay((0.8667, 0.9867), 0.5)
    assert method.remarks(938) == []


def test_whoever_asks_the_slow_copy_nothing_is_told_nothing_of_it():
    method, _ = tiny()
    method.sampler.end = 0.0
    assert method.remarks(938) == []
    use_mask(method, "random")
    assert method.remarks(938) == []


@faithful
def test_nothing_reaches_the_slow_copy():
    method, batch = tiny()
    sum(method.losses(batch, Context(progress=1.0, generator=torch.Generator().manual_seed(0))).values()).backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    assert method.encoder.embed.weight.grad.abs().sum() > 0


@works
def test_padding_does_not_change_what_is_found_hard():
    method, _ = tiny()
    small = pictures(2, 3, 8, 12)
    canvas, valid = torch.full((2, 3, 16, 16), 9.0), torch.zeros(2, 16, 16, dtype=torch.bool)
    canvas[..., :8, :12], valid[:, :8, :12] = small, True
    alone = method.predicted_losses({"image": small}).reshape(2, 2, 3)
    padded = method.predicted_losses({"image": canvas, "image_valid": valid}).reshape(2, 4, 4)
    torch.testing.assert_close(padded[:, :2, :3], alone, rtol=1e-5, atol=1e-5)


@works
@pytest.mark.usefixtures("without_drawing")
def test_it_trains_is_looked_at_and_evaluated_from_the_command_line(tmp_path):
    run_and_look(tmp_path, "hpm", "16x2x2", **SIZES, start=0.5)


@works
@pytest.mark.usefixtures("without_drawing")
def test_a_run_taken_up_again_ends_with_the_bits_of_its_slow_copy_too(tmp_path):
    run = resumes_alike(tmp_path, "hpm", "16x2x2", **SIZES, start=0.5)
    assert any(name.startswith("teacher.") for name in newest(run).tensors("method"))


@works
def test_wrong_settings_are_refused():
    encoder = ViT("16x2x2", 16, 4)
    with pytest.raises(ValueError, match="learns 'rank' is unknown; choose one of order, value"):
        HPM(encoder, learns="rank")
    with pytest.raises(ValueError, match=r"rise 2\.0 is not a share"):
        HPM(encoder, rise=2.0)
    with pytest.raises(ValueError, match=r"decay \(0\.9,\) is not two shares of the old weights"):
        HPM(encoder, decay=(0.9,))


@works
def test_defaults_are_the_released_ones():
    assert (HardMask().ratio, HardMask().start, HardMask().end) == (0.75, 0.0, 0.5)
    assert (RECIPE.lr, RECIPE.epochs, RECIPE.warmup, RECIPE.weight_decay) == (1.5e-4, 200, 40, 0.05)
