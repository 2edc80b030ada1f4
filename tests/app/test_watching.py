"""What is looked at while a method trains."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from small_run import make_pictures
from unmask.app.runs import load
from unmask.app.training import divide
from unmask.app.watching import Watcher, first_rows, spread
from unmask.data.sources import open_source
from unmask.train.trackers import Logs


def watcher(tmp_path, finished, data) -> Watcher:
    loaded = load(finished)
    training, held = divide(open_source(data))
    logs = Logs(tmp_path / "run", trackers=())
    return Watcher(tmp_path / "run", loaded.config, loaded.card, training, held, logs, torch.device("cpu"), print)


def test_a_share_is_spread_over_all_classes(tmp_path):
    source = open_source(make_pictures(tmp_path, count=60, classes=3))
    assert sorted({item.label for item in spread(source, 6).items}) == ["class0", "class1", "class2"]
    assert len(spread(source, 6)) == 6
    assert len(spread(source, 600)) == 60
    with pytest.raises(ValueError, match="0 pictures are too few"):
        spread(source, 0)


def test_first_rows_are_those_of_every_tensor():
    batch = {"image": torch.arange(6).reshape(3, 2), "index": torch.arange(3)}
    assert {key: value.tolist() for key, value in first_rows(batch, 2).items()} == {
        "image": [[0, 1], [2, 3]],
        "index": [0, 1],
    }


def test_looking_gives_numbers_a_sentence_and_a_picture(tmp_path, finished, pictures, capsys):
    look = watcher(tmp_path, finished, pictures)
    method = load(finished).method
    numbers = look(method, 4, 1.0)
    assert {"loss", "explained_variance", "rankme", "knn/01"} <= set(numbers)
    assert (tmp_path / "run" / "advice.txt").read_text().strip() in capsys.readouterr().out
    assert [p.name for p in (tmp_path / "run" / "pictures").iterdir()] == ["step-00000004.png"]


def test_looking_twice_gives_the_same_numbers_and_leaves_the_method_as_it_is(tmp_path, finished, pictures):
    look = watcher(tmp_path, finished, pictures)
    method = load(finished).method.train()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    assert look(method, 4, 0.5) == look(method, 4, 0.5)
    assert method.training
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_the_numbers_are_those_of_the_log_of_the_run(tmp_path, finished, pictures):
    look = watcher(tmp_path, finished, pictures)
    logged = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    last = [row for row in logged if row["kind"] == "held_out"][-1]
    numbers = look(load(finished, average=False).method, 4, 1.0)
    assert numbers["loss"] == pytest.approx(last["loss"], abs=1e-6)
    assert numbers["rankme"] == pytest.approx(last["rankme"], abs=1e-4)


def test_pictures_that_cannot_be_read_are_said_and_too_few_are_refused(tmp_path, finished, capsys):
    data = make_pictures(tmp_path / "data", count=60)
    held = [item.name for item in divide(open_source(data))[1].items]
    (data / held[0]).write_bytes(b"")
    watcher(tmp_path, finished, data)
    assert f"1 held-out pictures cannot be used: {held[0]}" in capsys.readouterr().out
    (data / held[1]).write_bytes(b"")
    with pytest.raises(ValueError, match=r"fewer than 2 of 3 held-out pictures .* can be used"):
        watcher(tmp_path, finished, data)


def test_without_labels_there_is_no_knn(tmp_path, finished):
    look = watcher(tmp_path, finished, make_pictures(tmp_path / "data", classes=0))
    numbers = look(load(finished).method, 4, 1.0)
    assert not any(key.startswith("knn/") for key in numbers)
    assert np.isfinite(numbers["loss"])


def test_a_resumed_run_goes_on_with_its_history(tmp_path, finished, pictures):
    shutil.copytree(finished, tmp_path / "run")
    look = watcher(tmp_path, finished, pictures)
    assert [row["step"] for row in look.history] == [0, 4]
    assert Path(look.out) == tmp_path / "run"
