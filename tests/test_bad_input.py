"""Every mistake gets one clear sentence and a non-zero status, and stands in the way of nothing."""

import errno
import io
import os
import pickle
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from small_run import SMALL, make_pictures, pretrain, unmask, without_drawing  # noqa: F401
from unmask.app.runs import load, read_card
from unmask.app.training import divide
from unmask.core import Context, Mask
from unmask.data.sources import open_source
from unmask.train.checkpoint import newest
from unmask.train.lock import RunLock

pytestmark = pytest.mark.usefixtures("without_drawing")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, pictures) -> Path:
    run = tmp_path_factory.mktemp("runs") / "finished"
    assert pretrain(pictures, run, "--steps", 2) == 0
    return run


@pytest.fixture
def run(tmp_path, finished) -> Path:
    """A run of one's own to break."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def refused(capsys):
    """Checks that a call fails with one sentence that has all the words, and returns the sentence."""

    def check(status: int, *words: object) -> str:
        said = capsys.readouterr().err
        lines = [line for line in said.splitlines() if line.startswith("unmask: ") and "warning:" not in line]
        assert status != 0
        assert len(lines) == 1, said
        assert "Traceback" not in said
        for word in words:
            assert str(word) in lines[0]
        return lines[0]

    return check


def can_be_trained(data, out) -> bool:
    """Whether nothing is in the way of another try with the same folder."""
    return pretrain(data, out, "--steps", 1) == 0


# the data


def test_a_missing_folder(tmp_path, pictures, refused):
    refused(pretrain(tmp_path / "nothing", tmp_path / "run", "--steps", 1), "nothing", "does not exist", "a folder")
    assert can_be_trained(pictures, tmp_path / "run")


def test_an_empty_folder(tmp_path, pictures, refused):
    (tmp_path / "empty").mkdir()
    refused(pretrain(tmp_path / "empty", tmp_path / "run", "--steps", 1), "empty holds no picture", ".png")
    assert can_be_trained(pictures, tmp_path / "run")


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\xff\xd8\xff\xe0 cut off"])
def test_no_readable_picture(tmp_path, pictures, refused, content):
    for i in range(30):
        (tmp_path / f"{i}.jpg").write_bytes(content)
    refused(pretrain(tmp_path, tmp_path / "run", "--steps", 1), "none of", "can be read", ".jpg")
    assert can_be_trained(pictures, tmp_path / "run")


def test_too_few_pictures(tmp_path, refused):
    make_pictures(tmp_path / "few", count=3)
    refused(pretrain(tmp_path / "few", tmp_path / "run", "--steps", 1), "3 pictures", "too few", "at least 4")
    make_pictures(tmp_path / "few", count=4)
    assert can_be_trained(tmp_path / "few", tmp_path / "run")


def test_a_split_that_is_not_there(tmp_path, pictures, refused):
    refused(pretrain(pictures, tmp_path / "run", "--split", "test"), "split 'test' is not in the data")


def test_more_unreadable_pictures_than_the_budget(tmp_path, pictures, refused):
    data = Path(shutil.copytree(pictures, tmp_path / "data"))
    broken = [f"class0/{i:03d}.png" for i in (0, 4, 8)]
    for name in broken:
        (data / name).write_bytes((data / name).read_bytes()[:60])
    sentence = refused(pretrain(data, tmp_path / "run", "--steps", 9), "cannot be used", "0.10%", "--bad-budget")
    assert any(name in sentence for name in broken)
    assert unmask("resume", tmp_path / "run", "--quiet") != 0  # the data is still the same
    assert pretrain(data, tmp_path / "other", "--steps", 9, "--bad-budget", 0.2) == 0


def test_mixed_channels(tmp_path, pictures, refused):
    data = Path(shutil.copytree(pictures, tmp_path / "data"))
    make_pictures(data / "grey", count=5, shape=(16, 16), classes=0)
    refused(pretrain(data, tmp_path / "run", "--steps", 1), "mixes pictures of 2 kinds", "5 grey", "`channels`")
    assert can_be_trained(pictures, tmp_path / "run")
    assert pretrain(data, tmp_path / "mapped", "--steps", 1, "--channels", "grey") == 0


def test_channels_that_the_pictures_do_not_have(tmp_path, pictures, refused):
    refused(pretrain(pictures, tmp_path / "run", "--steps", 1, "--channels", "red,infrared"), "infrared")
    assert can_be_trained(pictures, tmp_path / "run")


# sizes and masks


@pytest.mark.parametrize(
    ("shape", "fit"),
    [((1, 1, 3), "crop"), ((3, 3, 3), "crop"), ((1, 70, 3), "crop"), ((1, 70, 3), "pad"), ((13, 18, 3), "pad")],
)
def test_pictures_smaller_than_a_patch_or_not_divisible_train_with_a_finite_loss(tmp_path, shape, fit):
    make_pictures(tmp_path / "odd", shape=shape)
    assert pretrain(tmp_path / "odd", tmp_path / "run", "--steps", 2, "--log-every", 1, "--fit", fit) == 0
    assert "NaN" not in (tmp_path / "run" / "log.jsonl").read_text()


def test_pictures_that_lie_within_one_patch_when_they_are_padded(tmp_path, refused):
    make_pictures(tmp_path / "tiny", shape=(3, 3, 3))
    status = pretrain(tmp_path / "tiny", tmp_path / "run", "--steps", 2, "--fit", "pad")
    refused(status, "3x3", "single patch of 4", "smaller patches")
    assert can_be_trained(tmp_path / "tiny", tmp_path / "run")


def test_small_pictures_are_refused_by_choice(tmp_path, refused):
    make_pictures(tmp_path / "small", shape=(3, 3, 3))
    status = pretrain(tmp_path / "small", tmp_path / "run", "--steps", 2, "--smallest", 8)
    refused(status, "3x3 pixels", "at least 8")


def test_a_picture_of_a_single_patch(tmp_path, pictures, refused):
    refused(pretrain(pictures, tmp_path / "run", "--set", "image_size=4"), "4x4", "single patch", "smaller patches")
    assert not (tmp_path / "run").exists()


def test_a_size_that_does_not_divide_is_padded_and_the_padding_left_out_of_the_loss(pictures, tmp_path):
    assert pretrain(pictures, tmp_path / "run", "--steps", 1, "--set", "image_size=18") == 0
    method = load(tmp_path / "run").method
    image = torch.randn(2, 3, 18, 18, generator=torch.Generator().manual_seed(0))
    assert method.encoder.grid_of(image) == (5, 5)
    hidden = torch.zeros(2, 25, dtype=torch.bool)
    hidden[:, 24] = True  # the corner, of which 2 x 2 of 4 x 4 pixels are real
    batch = {"image": image}
    with torch.no_grad():
        loss = method.losses(batch, Context(), Mask.of(hidden))["reconstruction"]
        target = method.target(batch)
        error = (method.predict(batch, Mask.of(hidden)) - target.values).square()[:, 24].unflatten(-1, (4, 4, 3))
    torch.testing.assert_close(loss, error[:, :2, :2].mean())


@pytest.mark.parametrize("method", ["mae", "self_guided_mae"])
@pytest.mark.parametrize("ratio", [0, 1, "1.0", -0.5])
def test_a_mask_ratio_that_hides_nothing_or_everything(tmp_path, pictures, refused, method, ratio):
    status = pretrain(pictures, tmp_path / "run", "--method", method, "--set", f"ratio={ratio}")
    refused(status, f"mask ratio {ratio}", "between 0 and 1")
    assert not (tmp_path / "run").exists()


def test_an_extreme_mask_ratio_keeps_one_patch_visible_and_the_loss_finite(tmp_path, pictures):
    options = ["--steps", 1, "--set", "ratio=0.999", "--set", "image_size=8"]
    assert pretrain(pictures, tmp_path / "run", *options) == 0
    assert "NaN" not in (tmp_path / "run" / "log.jsonl").read_text()


# names and values


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "self_guided"], ["method 'self_guided' is unknown", "did you mean self_guided_mae"]),
        (["--method", "zzz"], ["method 'zzz' is unknown", "unmask methods"]),
        (["--model", "vit_tyni"], ["model 'vit_tyni' is unknown", "vit_tiny", "WIDTHxDEPTHxHEADS"]),
        (["--model", "17x2x2"], ["17"]),
        (["--set", "pacth_size=8"], ["argument 'pacth_size' is unknown", "did you mean patch_size"]),
        (["--set", "patch_size=big"], ["patch_size='big' is not int"]),
        (["--set", "patch_size=2.5"], ["patch_size='2.5' is not int", "default is 16"]),
        (["--set", "patch_size"], ["--set 'patch_size' is not name=value"]),
        (["--set", "lr=1"], ["lr is an option of its own", "--lr"]),
        (["--set", "positions=learnt"], ["positions 'learnt'", "learned"]),
        (["--bacth", "8"], ["argument --bacth is unknown", "did you mean --batch", "--set"]),
        (["--batch", "many"], ["--batch", "many"]),
        (["--batch", "-4"], ["batch -4"]),
        (["--batch", "15", "--accumulation", "2"], ["batch 15 cannot be divided", "multiple"]),
        (["--steps", "-3"], ["steps -3"]),
        (["--steps", "3", "--epochs", "3"], ["give one"]),
        (["--steps", "9", "--warmup", "99"], ["warm-up", "train longer or warm up less"]),
        (["--precision", "fp8"], ["precision 'fp8' is unknown", "bf16"]),
        (["--fit", "squeeze"], ["fit 'squeeze' is unknown", "pad"]),
        (["--limit", "0"], ["limit 0"]),
        (["--trackers", "wandbb"], ["wandbb", "mlflow"]),
        (["--device", "gpu"], ["device 'gpu'"]),
    ],
)
def test_an_unknown_name_or_a_value_that_does_not_fit(tmp_path, pictures, refused, arguments, words):
    refused(pretrain(pictures, tmp_path / "run", *arguments), *words)
    assert can_be_trained(pictures, tmp_path / "run")


def test_a_verb_that_does_not_exist(refused):
    refused(unmask("pretrian", "digits"), "pretrian", "pretrain")


@pytest.mark.skipif(torch.accelerator.is_available(), reason="an accelerator is there")
@pytest.mark.parametrize("verb", ["pretrain", "resume", "evaluate", "embed", "finetune"])
def test_a_gpu_that_is_not_there(tmp_path, pictures, finished, refused, verb):
    rest = {"pretrain": [pictures, "--out", tmp_path / "run", *SMALL], "embed": [finished, "--out", tmp_path / "x.npy"]}
    refused(unmask(verb, *rest.get(verb, [finished]), "--device", "cuda"), "device 'cuda' is not there", "--device cpu")
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "x.npy").exists()


# the folder of the run


def test_a_folder_that_holds_another_run(run, pictures, refused):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    refused(pretrain(pictures, run, "--steps", 1), run, "already holds a run", f"unmask resume {run}")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_folder_that_is_in_use(tmp_path, pictures, refused):
    with RunLock(tmp_path / "run"):
        refused(pretrain(pictures, tmp_path / "run", "--steps", 1), f"process {os.getpid()}", "run")
    assert can_be_trained(pictures, tmp_path / "run")


def test_a_run_in_use_is_not_resumed(run, refused):
    with RunLock(run):
        refused(unmask("resume", run, "--quiet"), f"process {os.getpid()}")


def test_a_read_only_folder_is_refused_before_the_data_is_looked_at(tmp_path, refused, monkeypatch):
    def refuse(path, *_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr("unmask.train.lock.os.open", refuse)  # permissions do not stop the superuser
    refused(pretrain("digits", tmp_path / "run", "--steps", 1), tmp_path / "run", "Read-only", "choose another")


def test_a_file_in_the_place_of_the_folder(tmp_path, pictures, refused):
    (tmp_path / "run").write_text("notes")
    refused(pretrain(pictures, tmp_path / "run"), "run is a file", "choose another folder")
    assert (tmp_path / "run").read_text() == "notes"


def fill_disk(monkeypatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("unmask.train.checkpoint.shutil.disk_usage", lambda _: usage(100, 99, 1))


def test_a_disk_that_is_full_from_the_start(tmp_path, pictures, refused):
    with pytest.MonkeyPatch.context() as patch:
        fill_disk(patch)
        refused(pretrain(pictures, tmp_path / "run", "--steps", 1), "no room", "need", "free 1 bytes", "make room")
    assert can_be_trained(pictures, tmp_path / "run")


def test_a_disk_that_fills_up_on_the_way_leaves_a_run_that_can_go_on(tmp_path, pictures, refused):
    options = ["--steps", 6, "--save-every", 1, "--log-every", 1, "--monitor-every", 6]
    assert pretrain(pictures, tmp_path / "whole", *options) == 0
    with pytest.MonkeyPatch.context() as patch:
        from unmask.train import loop

        plain = loop.save

        def full_after_three(folder, step, *rest, **more):
            if step > 3:
                fill_disk(patch)
            return plain(folder, step, *rest, **more)

        patch.setattr(loop, "save", full_after_three)
        refused(pretrain(pictures, tmp_path / "run", *options), "no room", "resume")
    assert newest(tmp_path / "run").step == 3
    assert unmask("resume", tmp_path / "run", "--quiet") == 0
    assert (tmp_path / "run" / "log.jsonl").read_text() == (tmp_path / "whole" / "log.jsonl").read_text()


@pytest.mark.parametrize("verb", ["resume", "evaluate", "finetune", "view", "analyse"])
def test_a_folder_without_a_run(tmp_path, refused, verb):
    refused(unmask(verb, tmp_path / "nothing"), "nothing", "holds no run")
    assert not (tmp_path / "nothing").exists()


def test_changed_data_is_named_and_accepted_only_when_told(tmp_path, pictures, refused):
    data = Path(shutil.copytree(pictures, tmp_path / "data"))
    run = tmp_path / "run"
    assert pretrain(data, run, "--steps", 4, "--save-every", 1) == 0
    shutil.rmtree(run / "checkpoints" / "step-00000004")
    moved = data.rename(tmp_path / "moved")
    refused(unmask("resume", run, "--quiet"), data, "does not exist")
    (moved / "class0" / "000.png").unlink()
    (moved / "class1" / "extra.png").write_bytes((moved / "class1" / "001.png").read_bytes())
    arguments = ["resume", run, "--quiet", "--data", moved]
    refused(unmask(*arguments), "1 removed: class0/000.png", "1 added: class1/extra.png", "--accept-data-change")
    assert unmask(*arguments, "--accept-data-change") == 0


def test_another_place_of_the_same_data_is_no_change(tmp_path, pictures):
    data = Path(shutil.copytree(pictures, tmp_path / "data"))
    assert pretrain(data, tmp_path / "run", "--steps", 2, "--save-every", 1) == 0
    log = (tmp_path / "run" / "log.jsonl").read_text()
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-00000002")
    assert unmask("resume", tmp_path / "run", "--quiet", "--data", data.rename(tmp_path / "moved")) == 0
    assert (tmp_path / "run" / "log.jsonl").read_text() == log


# checkpoints and files of weights


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_truncated_checkpoint_is_passed_over_with_a_warning(run, capsys, share):
    file = newest(run).path / "method.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    assert unmask("info", run) == 0
    assert "step-00000002" in capsys.readouterr().out
    assert unmask("embed", run, "--out", run / "vectors.npy") == 0
    assert "warning: passed over checkpoint step-00000002: method.safetensors has" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["resume", "embed", "info"])
def test_no_whole_checkpoint(run, refused, verb):
    for path in (run / "checkpoints").glob("*/method.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    more = {"embed": ["--out", run / "x.npy"]}.get(verb, [])
    refused(unmask(verb, run, *more), "no checkpoint in", "is whole", "method.safetensors has")
    assert not (run / "x.npy").exists()


def test_a_run_without_whole_checkpoints_is_not_begun_anew(run, pictures, refused):
    for path in (run / "checkpoints").glob("*/method.safetensors"):
        path.write_bytes(b"")
    refused(pretrain(pictures, run, "--steps", 1), "already holds a run")
    shutil.rmtree(run / "checkpoints")
    refused(unmask("resume", run, "--quiet"), "no checkpoint in")
    refused(pretrain(pictures, run, "--steps", 1), "already holds a run")


@pytest.mark.parametrize("verb", ["resume", "view"])
def test_a_checkpoint_of_another_method(tmp_path, run, pictures, refused, verb):
    other = tmp_path / "other"
    assert pretrain(pictures, other, "--steps", 3, "--method", "self_guided_mae") == 0
    shutil.copytree(other / "checkpoints", run / "checkpoints", dirs_exist_ok=True)
    refused(unmask(verb, run), "is of another run", "self_guided_mae", "mae", "put the run's own checkpoints back")


def test_a_checkpoint_of_other_sizes(tmp_path, run, pictures, refused):
    other = tmp_path / "other"
    assert pretrain(pictures, other, "--steps", 3, "--channels", "red,green") == 0
    shutil.copytree(other / "checkpoints", run / "checkpoints", dirs_exist_ok=True)
    refused(unmask("embed", run, "--out", tmp_path / "x.npy"), "is of another run", "'channels': 2", "'channels': 3")


@pytest.mark.parametrize("verb", ["embed", "evaluate", "view", "analyse", "finetune"])
def test_data_with_another_channel_set(tmp_path, finished, refused, verb):
    make_pictures(tmp_path / "grey", shape=(16, 16))
    more = {"embed": ["--out", tmp_path / "x.npy"]}.get(verb, [])
    refused(unmask(verb, finished, tmp_path / "grey", *more), "has the channels grey", "trained on red, green, blue")


def test_data_of_another_type(tmp_path, finished, refused):
    np.savez(tmp_path / "deep.npz", image=np.full((30, 16, 16, 3), 40_000, np.uint16))
    status = unmask("embed", finished, tmp_path / "deep.npz", "--out", tmp_path / "x.npy")
    refused(status, "uint16", "trained on uint8")


class Touch:
    """Leaves a trace when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["weights.pth", "weights.pt", "weights.bin", "weights.safetensors"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_pickle_where_safetensors_is_expected_is_never_opened(tmp_path, refused, name, packed):
    canary = tmp_path / "canary"
    if packed:
        torch.save({"model": Touch(canary)}, tmp_path / name)
    else:
        (tmp_path / name).write_bytes(pickle.dumps(Touch(canary)))
    refused(unmask("info", tmp_path / name), name)
    assert not canary.exists()


@pytest.mark.parametrize("verb", ["resume", "embed"])
def test_a_pickle_in_a_checkpoint_is_never_opened(tmp_path, run, refused, verb):
    canary = tmp_path / "canary"
    content = io.BytesIO()
    torch.save({"model": Touch(canary)}, content)
    for path in (run / "checkpoints").glob("*/method.safetensors"):
        path.write_bytes(content.getvalue())
    refused(unmask(verb, run, *([] if verb == "resume" else ["--out", tmp_path / "x.npy"])), "no checkpoint in")
    assert not canary.exists()


def test_a_file_that_is_not_there_or_no_weights(tmp_path, refused):
    refused(unmask("info", tmp_path / "none.safetensors"), "none.safetensors", "does not exist")
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    refused(unmask("info", tmp_path / "bad.safetensors"), "bad.safetensors")


# labels, probes, and where results go


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("unlabelled"), classes=0)


@pytest.mark.parametrize(
    "arguments", [["evaluate"], ["evaluate", "--with", "linear"], ["evaluate", "--with", "attentive"], ["finetune"]]
)
def test_labels_missing_for_a_probe(finished, unlabelled, refused, arguments):
    refused(unmask(arguments[0], finished, unlabelled, *arguments[1:]), "no labels", "folder")


def test_segmentation_masks_missing(finished, pictures, refused):
    refused(unmask("evaluate", finished, "--with", "segmentation"), "no segmentation masks", "masks/")


def test_an_unknown_probe(finished, refused):
    refused(unmask("evaluate", finished, "--with", "knnn"), "probe 'knnn' is unknown", "knn")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["embed", "--out", "x.csv"], ["x.csv", ".parquet"]),
        (["embed", "--out", "x.npy", "--block", "3"], ["block 3 does not exist", "1 to 2"]),
        (["embed", "--out", "x.npy", "--batch", "0"], ["batch 0"]),
        (["view", "--images", "0"], ["0 pictures"]),
        (["view", "--step", "77"], ["no snapshot of step 77", "there are 0, 1, 2"]),
        (["export", "--to", "keras", "--out", "x"], ["'keras' is unknown", "timm"]),
        (["finetune", "--epochs", "0"], ["epochs 0"]),
        (["evaluate", "--limit", "0"], ["0 pictures"]),
    ],
)
def test_other_arguments_that_do_not_fit(tmp_path, finished, refused, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    refused(unmask(arguments[0], finished, *arguments[1:]), *words)
    assert not list(tmp_path.iterdir())


def test_results_never_replace_what_is_there(tmp_path, finished, refused):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    refused(unmask("export", finished, "--to", "torch", "--out", tmp_path / "out"), "already holds something")
    refused(unmask("finetune", finished, "--out", tmp_path / "out"), "already holds something")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, finished, refused):
    (tmp_path / "file").write_text("")
    refused(unmask("embed", finished, "--out", tmp_path / "file" / "x.npy"), "x.npy cannot be written")


def test_pictures_that_cannot_be_read_are_left_out_and_named(tmp_path, finished, pictures, capsys):
    data = Path(shutil.copytree(pictures, tmp_path / "data"))
    (data / "class0" / "000.png").write_bytes(b"")
    assert unmask("embed", finished, data, "--out", tmp_path / "x.npy") == 0
    assert "left out 1 pictures that cannot be used: class0/000.png" in capsys.readouterr().out
    assert len(np.load(tmp_path / "x.npy")) == 39
    assert unmask("evaluate", finished, data, "--with", "knn") == 0
    assert "left out 1 pictures that cannot be used: class0/000.png" in capsys.readouterr().out


def test_an_unreadable_held_out_picture_does_not_stop_a_run_within_its_budget(tmp_path, capsys):
    data = make_pictures(tmp_path / "data", count=60)  # three of them held out
    held = divide(open_source(data))[1].items[0].name
    (data / held).write_bytes(b"")
    assert pretrain(data, tmp_path / "b", "--steps", 1, "--bad-budget", 0.1) == 0
    assert f"1 held-out pictures cannot be used: {held}" in capsys.readouterr().out


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(FileNotFoundError):
        unmask("info", tmp_path / "none.safetensors", "--debug")


def test_a_picture_of_16_bits_is_trained_on_as_it_is(tmp_path):
    for i in range(40):
        values = np.random.default_rng(i).integers(0, 60_000, (16, 16), dtype=np.uint16)
        (tmp_path / "deep").mkdir(exist_ok=True)
        Image.fromarray(values).save(tmp_path / "deep" / f"{i}.png")
    assert pretrain(tmp_path / "deep", tmp_path / "run", "--steps", 1) == 0
    assert read_card(tmp_path / "run").maximum[0] > 50_000
