"""GMML: the network is the released one's; groups, aliens and the loss are what its script does."""

import pytest
import torch

from formulas import formula_image, formula_noise, formula_weights, pictures, recorded, wave
from reference_names import VIT, replaced
from small_run import make_pictures, unmask, without_drawing  # noqa: F401
from unmask.core import Context
from unmask.methods.gmml import GMML
from unmask.parts.masks.groups import Groups
from unmask.parts.masks.random import random_mask
from unmask.parts.nets.vit import ViT

faithful, works = pytest.mark.faithful("gmml"), pytest.mark.works("gmml")

# How gmml_reference.json was made: the named file of the named commit, unchanged, filled by `formula_weights`; the
# pictures, the pixels that are hidden and the noise in them are from the formulas.
REFERENCE = recorded(__file__, "gmml_reference.json")
ENCODER = ("encoder.", "")
HEAD = (("head.layers.", "head_recons.mlp."), ("head.pixels.", "head_recons.convTrans."))


def released_name(name: str) -> str:
    return f"backbone.{replaced(name, (*VIT, ENCODER))}" if name.startswith("encoder.") else replaced(name, HEAD)


class Given(GMML):
    """Pictures that were corrupted before."""

    given = None

    def corrupted(self, batch, context, mask=None):
        return self.given


@faithful
def test_restored_pictures_loss_and_gradients_are_the_reference_s():
    method = Given(ViT("32x4x4", 32, 8, positions="learned"), blocks=(2, 3, 4)).eval()
    values = formula_weights(REFERENCE["shapes"])
    position = values.pop("backbone.pos_embed")[0]
    values["backbone.cls_token"] = values["backbone.cls_token"] + position[:1]
    weight = "backbone.patch_embed.proj.weight"
    values[weight] = values[weight].permute(0, 2, 3, 1).flatten(1)
    values["backbone.positions.table"] = position[1:]
    named = {released_name(n): p for n, p in method.named_parameters()}
    assert set(named) == set(values)
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(values[name])
    image = formula_image(3, 32)
    hidden = formula_noise(3, 32 * 32).reshape(3, 32, 32) > 0.4
    noise = wave(image.numel(), 2.0).reshape(image.shape).float()
    method.given = torch.where(hidden.unsqueeze(1), noise, image), hidden
    loss = method.losses({"image": image}, Context())["restoration"]
    loss.backward()
    restored = method.restored({"image": method.given[0]})
    assert loss.item() == pytest.approx(REFERENCE["loss"], rel=0, abs=1e-5)
    assert restored.double().square().mean().item() == pytest.approx(REFERENCE["prediction_mean_square"], rel=1e-5)
    for ends, place in ((restored[0, 0, 1, :6], "0,0"), (restored[2, 2, -2, -6:], "2,2")):
        torch.testing.assert_close(ends, torch.tensor(REFERENCE["prediction"][place]), rtol=1e-5, atol=1e-5)
    for name, expected in REFERENCE["gradients"].items():
        assert named[name].grad.double().square().mean().item() == pytest.approx(expected, rel=1e-4), name


def create(**settings) -> GMML:
    torch.manual_seed(0)
    return GMML(ViT("16x2x2", image_size=16, patch_size=4), **settings)


def drawn(seed=0, **values) -> Context:
    return Context(generator=torch.Generator().manual_seed(seed), **values)


@faithful
def test_hidden_pixels_show_noise_or_another_picture_and_others_are_untouched():
    """Pictures are constant, each of another value, so that what is shown can be told."""
    level = torch.arange(64.0).view(-1, 1, 1, 1) + 100
    image = level.expand(-1, 3, 16, 16)
    corrupted, hidden = create().corrupted({"image": image}, drawn())
    assert torch.equal(corrupted.masked_select(~hidden.unsqueeze(1)), image.masked_select(~hidden.unsqueeze(1)))
    share = hidden.float().mean((1, 2))
    aliens = 0
    for picture, own, seen in zip(corrupted, hidden, share.tolist(), strict=True):
        shown = picture[:, own]
        if shown.min() >= 100:
            assert shown.unique().numel() == 1
            assert 0.3 <= seen < 0.3 + 0.09
            aliens += 1
        else:
            assert shown.abs().max() < 6
            assert 0.5 <= seen < 0.75 + 0.09
    assert 0.3 < aliens / 64 < 0.7
    never, _ = create(alien_rate=0.0, fill="zeros").corrupted({"image": image}, drawn())
    assert never.unique().tolist() == [0.0, *(level.flatten().tolist())]


@faithful
def test_clean_pixels_do_not_count():
    method, batch = create(), {"image": pictures(2, 3, 16, 16)}
    _, hidden = method.corrupted(batch, drawn())
    kept = []
    method.head.register_forward_hook(lambda module, arguments, output: output.retain_grad() or kept.append(output))
    method.losses(batch, drawn())["restoration"].backward()
    assert torch.equal(kept[0].grad.abs().sum(1) > 0, hidden)


@faithful
def test_what_is_restored_is_the_mean_of_blocks_6_8_10_and_12():
    encoder = ViT("8x12x2", image_size=8, patch_size=4)
    assert GMML(encoder).blocks == (6, 8, 10, 12)
    assert create().blocks == (1, 2)
    with pytest.raises(ValueError, match=r"blocks \(3,\) do not all exist in an encoder of 2"):
        create(blocks=(3,))


def test_a_given_mask_of_patches_is_corrupted_instead():
    method, batch = create(), {"image": pictures(2, 3, 16, 16)}
    mask = random_mask(formula_noise(2, 16), 0.5)
    _, hidden = method.corrupted(batch, drawn(), mask)
    patches = hidden.reshape(2, 4, 4, 4, 4).float().mean((2, 4)).flatten(1)
    assert torch.equal(patches, mask.hidden.float())


@works
def test_what_lies_in_the_padding_has_no_influence():
    method, image = create(alien_rate=0.0), pictures(2, 3, 16, 16)
    valid = torch.ones(2, 16, 16, dtype=torch.bool)
    valid[:, 11:], valid[:, :, 13:] = False, False
    other = torch.where(valid.unsqueeze(1), image, 7.0)
    losses = [method.losses({"image": x, "image_valid": valid}, drawn())["restoration"] for x in (image, other)]
    assert torch.equal(*losses)


@works
@pytest.mark.parametrize("size", [(16, 16), (13, 22)])
def test_pictures_of_any_size_train(size):
    method = create(groups=Groups(align=4))
    method.losses({"image": pictures(2, 3, *size)}, drawn())["restoration"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters())


@pytest.mark.parametrize("wrong", [{"share": 1.0}, {"alien": 0.0}, {"alien_rate": 1.5}, {"fill": "rain"}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        create(**wrong)


@works
@pytest.mark.usefixtures("without_drawing")
def test_it_trains_is_looked_at_and_measured_from_the_command_line(tmp_path):
    data, run = make_pictures(tmp_path / "data"), tmp_path / "run"
    sizes = ["--model", "16x2x2", "--set", "image_size=16", "--set", "patch_size=4"]
    plan = ["--steps", "2", "--monitor-every", "2", "--batch", "16", "--quiet"]
    assert unmask("pretrain", data, "--out", run, "--method", "gmml", *sizes, *plan) == 0
    assert unmask("view", run, "--out", tmp_path / "view.png") == 0
    assert unmask("evaluate", run, "--with", "knn") == 0
