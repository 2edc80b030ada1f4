"""HPM v2: features of the slow copy as targets. What it shares with HPM is compared with the released code there."""

import pytest
import torch

import small_run
from small_run import without_drawing  # noqa: F401
from unmask.app.catalogue import create
from unmask.core import Context
from unmask.methods.hpm_bootstrap import tiny
from whole_run import run_and_look

faithful, works = pytest.mark.faithful("hpm_bootstrap"), pytest.mark.works("hpm_bootstrap")
SIZES = {"model": "16x2x2", **small_run.SIZES}


def context(progress: float = 0.5) -> Context:
    return Context(progress=progress, generator=torch.Generator().manual_seed(0))


@faithful
def test_targets_are_the_copy_s_last_features_of_the_whole_picture_at_unit_length():
    method, batch = tiny()
    values = method.target(batch).values
    whole = method.teacher.network["encoder"](batch["image"])[:, 1:]
    torch.testing.assert_close(values, whole / whole.norm(dim=-1, keepdim=True))
    assert not values.requires_grad


@faithful
def test_the_loss_of_a_place_is_2_minus_twice_the_cosine():
    method, batch = tiny()
    mask = method.sampler(method, batch, context())
    prediction = method.decoder(method.encoder(batch["image"], mask), mask, (4, 4))
    cosine = torch.cosine_similarity(prediction, method.target(batch).values, dim=-1)
    expected = (2 - 2 * cosine)[mask.hidden].mean()
    torch.testing.assert_close(method.losses(batch, context(), mask)["reconstruction"], expected)
    assert 0 <= expected <= 4


@faithful
def test_the_head_is_as_wide_as_the_target():
    assert create("hpm_bootstrap", **SIZES, target="features").decoder.head.out_features == 16
    assert create("hpm_bootstrap", **SIZES).decoder.head.out_features == 48


def test_the_copy_looks_once_in_a_step_for_the_mask_and_the_target():
    method, batch = tiny()
    looks = []
    method.teacher.network["encoder"].register_forward_hook(lambda *_: looks.append(1))
    method.losses(batch, context())
    assert len(looks) == 1
    method.teacher.network["encoder"].trunk.norm.bias.data.add_(1)
    before = method.target(batch).values
    method.teacher.network["encoder"].trunk.norm.bias.data.sub_(1)
    assert not torch.equal(before, method.target(batch).values)


@faithful
def test_with_pixels_it_is_hpm():
    torch.manual_seed(0)
    second, first = create("hpm_bootstrap", **SIZES), create("hpm", **SIZES)
    second.load_state_dict(first.state_dict())
    batch = tiny()[1]
    for name, value in first.losses(batch, context()).items():
        assert torch.equal(value, second.losses(batch, context())[name])


@faithful
def test_with_end_0_masks_stay_random_to_the_end():
    method, batch = create("hpm_bootstrap", **SIZES, end=0.0), tiny()[1]
    first, last = (method.sampler(method, batch, context(progress)).hidden for progress in (0.0, 1.0))
    assert torch.equal(first, last)
    assert int(method.sampler.asked) == 0


@works
@pytest.mark.usefixtures("without_drawing")
def test_it_trains_is_looked_at_and_evaluated_from_the_command_line(tmp_path):
    run_and_look(tmp_path, "hpm_bootstrap", "16x2x2", **small_run.SIZES, target="features")


@works
def test_an_unknown_target_is_refused():
    with pytest.raises(ValueError, match="target 'clip' is unknown; choose one of pixels, features"):
        create("hpm_bootstrap", **SIZES, target="clip")
