"""ColorMAE: the released code's masks from the same noise, and nothing but the mask differs from MAE."""

import pytest
import torch

from formulas import pictures, recorded, wave
from small_run import NETWORK, make_pictures, pretrain, unmask, without_drawing  # noqa: F401
from unmask.app.catalogue import create
from unmask.core import Context
from unmask.methods.color_mae import RECIPE, tiny
from unmask.parts.masks.colour import cut_windows, strongest_seen

faithful, works = pytest.mark.faithful("color_mae"), pytest.mark.works("color_mae")

# How color_mae_reference.json was made is said in it.
REFERENCE = recorded(__file__, "color_mae_reference.json")
SIZES = {
    "model": "16x2x2",
    "image_size": 16,
    "patch_size": 4,
    "decoder_width": 16,
    "decoder_depth": 1,
    "decoder_heads": 2,
}


def context(seed: int = 0, **values) -> Context:
    return Context(progress=0.5, generator=torch.Generator().manual_seed(seed), **values)


@faithful
@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: f"seed{case['seed']}")
def test_masks_of_the_same_pattern_window_and_flips_are_the_reference_s(case):
    patterns = wave(3 * 10 * 10, 0.3).reshape(3, 10, 10).float()
    chosen = torch.arange(2)  # the released code's choice: the b-th pattern for the b-th picture
    corners = torch.tensor([case["corner"]] * 2)
    flips = torch.tensor([[case["flip_rows"], case["flip_columns"]]] * 2)
    mask = strongest_seen(cut_windows(patterns, chosen, corners, flips, (6, 6)), 0.75)
    assert [row.nonzero().flatten().tolist() for row in mask.hidden] == case["hidden"]
    assert mask.kept.tolist() == case["kept_in_order"]


@faithful
def test_the_loss_is_mae_s_under_the_same_mask_and_there_are_no_other_parameters():
    torch.manual_seed(0)
    coloured, plain = create("color_mae", **SIZES), create("mae", **SIZES)
    plain.load_state_dict(coloured.state_dict())
    batch = {"image": pictures(2, 3, 16, 16)}
    mask = coloured.sampler(coloured, batch, context())
    found = coloured.losses(batch, context())["reconstruction"]
    assert torch.equal(found, plain.losses(batch, context(), mask)["reconstruction"])


@faithful
@pytest.mark.parametrize("colour", ["red", "green", "blue", "purple", "white"])
def test_147_of_196_patches_are_hidden_in_every_colour(colour):
    method = create("color_mae", **SIZES, colour=colour, patterns=16)
    mask = method.sampler(method, {"image": pictures(3, 3, 56, 56)}, context())
    assert mask.hidden.sum(-1).tolist() == [147] * 3
    assert mask.count == 49


@faithful
def test_masks_do_not_depend_on_the_picture_and_differ_between_pictures_and_steps():
    method, batch = tiny()
    first = method.sampler(method, batch, context()).hidden
    assert torch.equal(first, method.sampler(method, {"image": batch["image"] * 2 + 1}, context()).hidden)
    assert len({tuple(row.tolist()) for row in first}) > 1
    assert not torch.equal(first, method.sampler(method, batch, context(seed=1)).hidden)


@works
@pytest.mark.usefixtures("without_drawing")
def test_it_trains_is_looked_at_and_evaluated_from_the_command_line(tmp_path):
    data, out = make_pictures(tmp_path / "pictures"), tmp_path / "run"
    colours = ["--set", "colour=green,blue", "--set", "starts=0,0.5", "--set", "patterns=8"]
    assert pretrain(data, out, "--method", "color_mae", "--steps", "2", *colours) == 0
    assert unmask("view", out, data, "--out", tmp_path / "view.png", "--images", "2") == 0
    assert unmask("evaluate", out, data, "--with", "knn", "--no-pixels") == 0


@works
def test_the_recipe_is_the_released_one():
    assert (RECIPE.lr, RECIPE.batch, RECIPE.epochs, RECIPE.warmup, RECIPE.betas) == (1.5e-4, 4096, 300, 40, (0.9, 0.95))
