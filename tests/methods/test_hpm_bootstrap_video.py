"""HPM v2 on clips: tubes where it is hardest over time, and the slow copy that says so."""

import pytest
import torch

from small_run import unmask, without_drawing  # noqa: F401
from small_video import make_strips, pretrain_videos
from unmask.core import Context, Mask
from unmask.methods.hpm_bootstrap_video import HPMBootstrapVideo, tiny
from unmask.parts.masks.hard import HardTubes, hard_mask
from unmask.parts.nets.concat_decoder import ConcatDecoder
from unmask.parts.nets.video_vit import VideoViT
from unmask.parts.ops.cubes import cubify
from whole_run import ends_alike

faithful, works = pytest.mark.faithful("hpm_bootstrap_video"), pytest.mark.works("hpm_bootstrap_video")


def context(progress: float = 1.0) -> Context:
    return Context(progress=progress, generator=torch.Generator().manual_seed(0))


@faithful
def test_masks_are_the_same_at_every_time_and_cover_what_is_hardest_on_average():
    method, batch = tiny()
    mask = method.sampler(method, batch, context())
    hidden = mask.hidden.unflatten(1, (2, 16))
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    hardness = method.predicted_losses(batch).unflatten(1, (2, 16)).mean(1)
    noise = context().uniform(4, 16)
    assert torch.equal(hidden[:, 0], hard_mask(hardness, noise, 0.75, 0.5).hidden)
    assert HardTubes().ratio == 0.9


@faithful
def test_the_share_of_hard_places_grows_from_nothing_to_a_half():
    method, batch = tiny()
    assert [method.sampler.share(progress) for progress in (0.0, 0.5, 1.0)] == [0.0, 0.25, 0.5]
    method.sampler(method, batch, context(0.0))
    assert int(method.sampler.asked) == 0, "nobody is asked before anything is hidden by hardness"


@faithful
def test_losses_are_predicted_for_every_cube_from_the_whole_clip():
    method, batch = tiny()
    copy = method.teacher.network
    tokens = copy["encoder"](batch["video"])
    filled = copy["decoder"].embed(tokens) + copy["decoder"].positions(32)
    torch.testing.assert_close(method.predicted_losses(batch), copy["predictor"](filled))


@faithful
def test_the_copy_gets_no_gradient_and_features_lie_between_0_and_4():
    torch.manual_seed(0)
    encoder = VideoViT("16x2x2", image_size=16, patch_size=4, frames=4)
    decoder = ConcatDecoder(encoder, width=16, depth=1, heads=2)
    method, (_, batch) = HPMBootstrapVideo(encoder, decoder, target="features"), tiny()
    terms = method.losses(batch, context())
    sum(terms.values()).backward()
    assert 0 <= terms["reconstruction"] <= 4
    assert all(p.grad is None for p in method.teacher.parameters())
    assert all(p.grad is not None for p in method.predictor.parameters())


@faithful
def test_what_is_not_hidden_has_no_part_in_the_loss():
    method, batch = tiny()
    mask = Mask.of((torch.arange(32) % 16 < 12).expand(4, -1))
    prediction, target = method.predict(batch, mask), method.target(batch).values
    assert target.shape == cubify(batch["video"], (2, 4, 4)).shape
    expected = (prediction - target).square().mean(-1)[mask.hidden].mean()
    torch.testing.assert_close(method.losses(batch, context(), mask)["reconstruction"], expected)


@works
@pytest.mark.usefixtures("without_drawing")
def test_it_trains_goes_on_and_is_evaluated_from_the_command_line(tmp_path):
    data, run = make_strips(tmp_path / "data"), tmp_path / "run"
    method, more = ["--method", "hpm_bootstrap_video"], ["--steps", 4, "--save-every", 2, "--monitor-every", 4]
    assert pretrain_videos(data, run, *method, *more) == 0
    assert "undecided" in (run / "log.jsonl").read_text()
    assert unmask("evaluate", run, "--with", "knn", "--no-pixels") == 0
    assert unmask("view", run, "--out", tmp_path / "view.png", "--images", "2") == 0
    ends_alike(run, tmp_path / "again")
