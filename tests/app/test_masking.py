"""What to hide, by a word, a file, an array or a callable."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from small_run import SIZES, SMALL, make_pictures, unmask, without_drawing  # noqa: F401
from unmask.app.looking import view
from unmask.app.masking import bank, mask_panel, read_masks, sampler_of, use_mask
from unmask.app.runs import load
from unmask.app.training import pretrain, resume
from unmask.core import Context, Mask
from unmask.methods.mae import tiny
from unmask.parts.masks.fixed import FixedMask
from unmask.parts.masks.guided import GuidedMask
from unmask.parts.masks.random import RandomMask
from unmask.train.checkpoint import newest, state_hash

CHESS = np.indices((4, 4)).sum(0) % 2 == 1
pytestmark = pytest.mark.usefixtures("without_drawing")


def train(data, out, mask, steps=2):
    return pretrain(
        data, out, model="16x2x2", steps=steps, batch=8, mask=mask, progress=False, say=lambda _: None, **SIZES
    )


def test_a_word_with_arguments_makes_that_sampler():
    found = sampler_of("ncut:cut_side=interior,hints_start=0.0,ratio=0.5", 0.9)
    assert isinstance(found, GuidedMask)
    assert (found.cut.side, found.hints.start, found.ratio) == ("interior", 0.0, 0.5)


def test_the_ratio_of_the_method_stays_unless_another_is_given():
    method, _ = tiny()
    method.sampler.ratio = 0.6
    use_mask(method, "random")
    assert isinstance(method.sampler, RandomMask)
    assert method.sampler.ratio == 0.6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rings", "mask 'rings' is unknown; choose one of random"),
        ("random:ratoi=0.5", "did you mean ratio"),
        ("missing.npy", "missing.npy does not exist"),
        ("random:ratio=2", "mask ratio 2"),
    ],
)
def test_a_mask_that_cannot_be_made_is_refused_before_data_is_read(tmp_path, capsys, text, words):
    assert unmask("pretrain", "nowhere", "--out", tmp_path / "run", "--mask", text, *SMALL) == 2
    assert words in capsys.readouterr().err


def test_a_method_that_hides_nothing_takes_no_mask():
    from unmask.methods.wae import tiny as wae

    with pytest.raises(ValueError, match="takes no mask"):
        use_mask(wae()[0], "random")


def test_a_mask_that_needs_tokens_is_refused_for_a_convnet():
    from unmask.methods.spark import tiny as spark

    with pytest.raises(ValueError, match="tokens of a transformer"):
        use_mask(spark()[0], "ncut")


def test_files_hold_one_mask_or_several(tmp_path):
    np.save(tmp_path / "one.npy", CHESS)
    np.save(tmp_path / "two.npy", np.stack([CHESS, ~CHESS]).astype(np.uint8))
    Image.fromarray(CHESS.astype(np.uint8) * 255).save(tmp_path / "one.png")
    assert np.array_equal(read_masks(tmp_path / "one.npy"), CHESS[None])
    assert np.array_equal(read_masks(tmp_path / "two.npy"), np.stack([CHESS, ~CHESS]))
    assert np.array_equal(read_masks(tmp_path / "one.png"), CHESS[None])
    with pytest.raises(ValueError, match="have shape"):
        bank(np.zeros(16))


def test_a_run_keeps_the_masks_of_a_file_and_resumes_to_the_same_weights(tmp_path):
    data = make_pictures(tmp_path / "data")
    np.save(tmp_path / "masks.npy", np.stack([CHESS, ~CHESS]))
    whole = train(data, tmp_path / "whole", str(tmp_path / "masks.npy"), steps=4)
    (tmp_path / "masks.npy").unlink()
    loaded = load(whole)
    assert isinstance(loaded.method.sampler, FixedMask)
    shutil.rmtree(newest(whole).path)
    before = load(whole).step
    resume(whole, progress=False, say=lambda _: None)
    assert before < load(whole).step == 4
    again = train(data, tmp_path / "again", np.stack([CHESS, ~CHESS]), steps=4)
    one, other = (state_hash(newest(run).tensors("method")) for run in (whole, again))
    assert one == other


def test_the_command_line_notes_the_word_and_the_run_has_its_sampler(tmp_path, capsys):
    data = make_pictures(tmp_path / "data")
    word = "ncut:start_fraction=0.0"
    assert unmask("pretrain", data, "--out", tmp_path / "run", "--mask", word, "--steps", "2", *SMALL) == 0
    assert f"mask={word}" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "config.json").read_text())["mask"] == word
    assert isinstance(load(tmp_path / "run").method.sampler, GuidedMask)


def test_a_callable_masks_and_is_asked_for_when_the_run_goes_on(tmp_path):
    seen = []

    def left_half(model, batch, context):
        rows, columns = model.encoder.grid_of(batch["image"])
        hidden = torch.zeros(len(batch["image"]), rows, columns, dtype=torch.bool)
        hidden[..., : columns // 2] = True
        seen.append(context.step)
        return Mask.of(hidden.flatten(1))

    run = train(make_pictures(tmp_path / "data"), tmp_path / "run", left_half)
    assert seen
    assert isinstance(load(run).method.sampler, RandomMask)
    shutil.rmtree(newest(run).path)
    with pytest.raises(ValueError, match="Python callable:left_half"):
        resume(run, progress=False, say=lambda _: None)
    resume(run, mask=left_half, progress=False, say=lambda _: None)
    assert load(run).step == 2


def test_samplers_are_drawn_side_by_side_on_the_same_pictures(tmp_path):
    run = train(make_pictures(tmp_path / "data"), tmp_path / "run", None)
    path = view(run, masks=["random", "ncut", "random:ratio=0.5"], out=tmp_path / "masks.png")
    with Image.open(path) as picture:
        assert picture.size[0] > 500
    loaded = load(run)
    batch = {"image": torch.randn(2, 3, 16, 16)}
    figure = mask_panel(
        loaded.method, batch, loaded.card, ["random:ratio=0.5"], Context(generator=torch.Generator().manual_seed(0))
    )
    assert "random:ratio=0.5 50 %" in figure.get_supxlabel()
