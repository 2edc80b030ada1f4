"""What is decided before a training: which pictures, which sizes; and what happens to those that cannot be read."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from small_run import make_pictures, pretrain, unmask, without_drawing  # noqa: F401
from unmask.app.compiling import compile_blocks
from unmask.app.training import HELD_OUT, create_check, divide
from unmask.data.sources import open_source
from unmask.methods.mae import tiny


def names(source) -> list[str]:
    return [item.name for item in source.items]


def split_folder(folder: Path, *splits: str) -> Path:
    for split in splits:
        make_pictures(folder / split, count=20)
    return folder


def test_without_splits_a_fixed_share_is_held_out(tmp_path):
    make_pictures(tmp_path, count=100)
    training, held = divide(open_source(tmp_path))
    assert len(held) == round(100 * HELD_OUT)
    assert sorted(names(training) + names(held)) == sorted(names(open_source(tmp_path)))
    assert not set(names(training)) & set(names(held))


def test_a_picture_that_is_added_moves_few_others(tmp_path):
    make_pictures(tmp_path, count=100)
    before = set(names(divide(open_source(tmp_path))[1]))
    make_pictures(tmp_path, count=101)
    assert len(before - set(names(divide(open_source(tmp_path))[1]))) <= 1


def test_the_test_split_is_never_touched(tmp_path):
    for splits in (("train", "validation", "test"), ("train", "test")):
        folder = split_folder(tmp_path / str(len(splits)), *splits)
        training, held = divide(open_source(folder))
        assert all(name.startswith("train/") for name in names(training))
        expected = "validation/" if "validation" in splits else "train/"
        assert all(name.startswith(expected) for name in names(held))


def test_another_split_can_be_named(tmp_path):
    folder = split_folder(tmp_path, "train", "test")
    training, held = divide(open_source(folder), "test")
    assert all(name.startswith("test/") for name in names(training) + names(held))


def test_a_limit_takes_a_fixed_choice_from_all_classes_and_keeps_the_held_out_part(tmp_path):
    make_pictures(tmp_path, count=200)
    source = open_source(tmp_path)
    few, held = divide(source, limit=20)
    more, same = divide(source, limit=40)
    assert (len(few), len(more)) == (20, 40)
    assert set(names(few)) < set(names(more))
    assert names(held) == names(same)
    assert {item.label for item in few.items} == {"class0", "class1"}


def test_another_listing_of_the_same_data_gives_the_same_training_part(tmp_path, pictures):
    paths = [str(path) for path in sorted(pictures.rglob("*.png"))]
    parts = []
    for order in (paths, paths[::-1]):
        (tmp_path / "list.txt").write_text("\n".join(order))
        parts.append(names(divide(open_source(tmp_path / "list.txt"))[0]))
    assert parts[0] == parts[1]


def test_settings_are_checked_without_memory():
    create_check("mae", {"model": "100000x500x10"})  # 60 trillion parameters
    with pytest.raises(ValueError, match="ratio"):
        create_check("mae", {"ratio": 1.5})


def test_where_the_compiler_fails_the_training_goes_on_and_says_so(monkeypatch):
    def broken(function):
        def call(*_, **__):
            raise RuntimeError("no C++ compiler\nmore lines")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    method, batch = tiny()
    plain = method.features(batch).pooled
    said = []
    compile_blocks(method, said.append)
    assert torch.equal(method.features(batch).pooled, plain)
    assert torch.equal(method.features(batch).pooled, plain)
    assert said == ["torch.compile failed (no C++ compiler); continuing without it"] * 2  # once for each of two blocks


def test_what_compiles_gives_the_same_features(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "compile", lambda f: lambda *a, **k: calls.append(1) or f(*a, **k))
    method, batch = tiny()
    plain = method.features(batch).pooled
    compile_blocks(method, lambda _: None)
    assert torch.equal(method.features(batch).pooled, plain)
    assert len(calls) == 2


@pytest.mark.usefixtures("without_drawing")
def test_replaced_pictures_are_counted_with_their_reasons(tmp_path, pictures, capsys):
    data = Path(shutil.copytree(pictures, tmp_path / "data"))
    (data / "class0" / "000.png").write_bytes(b"")
    (data / "class0" / "004.png").write_bytes(b"<html>")
    options = ["--steps", 6, "--log-every", 1, "--bad-budget", 0.2]
    for name in ("a", "b"):
        assert pretrain(data, tmp_path / name, *options) == 0
    found = json.loads((tmp_path / "a" / "replaced.json").read_text())
    assert set(found) == {"class0/000.png", "class0/004.png"}
    assert all(found.values())
    assert "2 unreadable pictures were replaced by others" in capsys.readouterr().out
    assert (tmp_path / "a" / "log.jsonl").read_text() == (tmp_path / "b" / "log.jsonl").read_text()


@pytest.mark.usefixtures("without_drawing")
def test_a_run_begins_with_given_weights(tmp_path, pictures, finished):
    exported = tmp_path / "exported"
    assert unmask("export", finished, "--to", "torch", "--out", exported) == 0
    assert pretrain(pictures, tmp_path / "run", "--epochs", 0, "--init-from", exported, "--seed", 9) == 0
    from unmask.app.runs import load

    for (name, mine), theirs in zip(
        load(tmp_path / "run").method.named_parameters(), load(finished).method.parameters(), strict=True
    ):
        assert torch.equal(mine, theirs), name


@pytest.mark.usefixtures("without_drawing")
def test_the_path_of_the_data_is_kept_so_that_a_run_resumes_from_anywhere(tmp_path, pictures, monkeypatch):
    monkeypatch.chdir(pictures.parent)
    assert pretrain(pictures.name, tmp_path / "run", "--steps", 2, "--save-every", 1) == 0
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-00000002")
    monkeypatch.chdir(tmp_path)
    assert unmask("resume", "run", "--quiet") == 0


@pytest.mark.usefixtures("without_drawing")
def test_what_a_method_remarks_on_the_number_of_steps_is_said_before_the_first(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(type(tiny()[0]), "remarks", lambda _, steps: [f"{steps} steps are few"])
    assert pretrain(make_pictures(tmp_path / "pictures"), tmp_path / "run", "--steps", "3") == 0
    said = capsys.readouterr()
    assert "3 steps are few" in said.out + said.err
