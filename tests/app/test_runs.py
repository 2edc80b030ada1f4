"""What a run folder holds and how it is read."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

from unmask.app.runs import (
    NAMES,
    SNAPSHOTS,
    changes,
    check_origin,
    few,
    has_begun,
    load,
    new_file,
    read_checkpoint,
    read_config,
    write_json,
    write_names,
)
from unmask.data.sources import open_source
from unmask.train.checkpoint import newest, save


def weights(loaded) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in loaded.method.parameters()])


def test_a_loaded_run_is_ready_to_use(finished):
    loaded = load(finished)
    assert not loaded.method.training
    assert (loaded.step, loaded.config.method, loaded.card.count) == (4, "mae", 38)
    features = loaded.features({"image": torch.zeros(2, 3, 16, 16)})
    assert features.pooled.shape == (2, 16)


def test_the_moving_average_is_what_is_used_unless_asked_otherwise(finished):
    averaged, last = load(finished), load(finished, average=False)
    assert not torch.equal(weights(averaged), weights(last))
    kept = newest(finished).tensors("ema")
    for name, parameter in averaged.method.named_parameters():
        assert torch.equal(parameter, kept[name])


def test_a_snapshot_is_the_method_of_its_step(finished):
    first, last = load(finished, step=0), load(finished, step=4)
    assert first.step == 0
    assert torch.equal(weights(last), weights(load(finished, average=False)))
    assert not torch.equal(weights(first), weights(last))
    with pytest.raises(FileNotFoundError, match="no snapshot of step 7; there are 0, 1, 2, 3, 4"):
        load(finished, step=7)


def test_a_passed_over_checkpoint_is_warned_of(tmp_path, finished):
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    (newest(run).path / "method.safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match="passed over checkpoint step-00000004"):
        assert load(run).step == 3


def test_a_checkpoint_of_other_settings_is_refused(finished):
    config = read_config(finished)
    check_origin(finished, config, read_checkpoint(finished))
    other = dataclasses.replace(config, settings={**config.settings, "ratio": 0.5})
    with pytest.raises(ValueError, match="is of another run: its settings"):
        check_origin(finished, other, read_checkpoint(finished))


def test_a_run_has_begun_when_it_has_a_checkpoint_or_has_lost_them(tmp_path, finished):
    assert not has_begun(tmp_path)
    write_json(tmp_path / "config.json", {})
    assert not has_begun(tmp_path)
    save(tmp_path, 0, {"method": {"x": torch.zeros(1)}}, {})
    assert has_begun(tmp_path)
    lost = Path(shutil.copytree(finished, tmp_path / "lost"))
    shutil.rmtree(lost / "checkpoints")
    assert has_begun(lost)


def test_changes_of_the_data_are_counted_and_named(tmp_path, pictures):
    data = Path(shutil.copytree(pictures, tmp_path / "data"))
    write_names(tmp_path, open_source(data))
    assert changes(tmp_path, open_source(data)) == ""
    for i in range(0, 14, 2):
        (data / "class0" / f"{i:03d}.png").unlink()
    (data / "class1" / "new.png").write_bytes(b"1")
    (data / "class1" / "001.png").write_bytes(b"1")
    assert changes(tmp_path, open_source(data)) == (
        "7 removed: class0/000.png, class0/002.png, class0/004.png, class0/006.png, class0/008.png, ...,"
        " 1 added: class1/new.png, 1 of another size: class1/001.png"
    )


def test_the_names_are_the_same_bytes_for_the_same_data(tmp_path, pictures):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_names(tmp_path / name, open_source(pictures))
    assert (tmp_path / "a" / NAMES).read_bytes() == (tmp_path / "b" / NAMES).read_bytes()


def test_few_names_are_all_given_and_many_cut():
    assert few(["a", "b"]) == "a, b"
    assert few(list("abcdefg")) == "a, b, c, d, e, ..."


def test_a_new_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "deep" / "file.txt"

    def break_off():
        with new_file(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert not list(path.parent.iterdir())
    with new_file(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
    assert [p.read_text() for p in path.parent.iterdir()] == ["whole"]


def test_a_failed_write_leaves_the_file_that_was_there(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")
    with pytest.raises(RuntimeError), new_file(path):
        raise RuntimeError
    assert path.read_text() == "before"


def test_a_folder_is_no_file_to_write(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"), new_file(tmp_path):
        pass


def test_snapshots_hold_the_method_alone(finished):
    assert newest(finished / SNAPSHOTS).sections == ("method",)
    assert set(newest(finished).sections) == {"method", "optimizer-main", "ema"}
