"""Every verb on built-in pictures, what it prints and writes, and that Python and the command line say the same."""

import argparse
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import unmask as package
from small_run import NETWORK, SMALL, pretrain, unmask, without_drawing  # noqa: F401
from unmask import api, cli
from unmask.app.catalogue import slugs
from unmask.app.runs import load
from unmask.train.checkpoint import newest, state_hash

RENAMED = {
    "--class": "label",
    "--with": "probes",
    "--all": "everything",
    "--quiet": "progress",
    "--no-pixels": "pixels",
}
ONLY_SHELL = {"help", "debug", "json", "set"}
ONLY_PYTHON = {"options", "say", "settings"}
DATA = ["digits", "--limit", "200"]
quickly = pytest.mark.usefixtures("without_drawing")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "digits"
    assert pretrain(*(DATA[0], folder), *DATA[1:], "--steps", 4, "--monitor-every", 4, "--log-every", 1) == 0
    return folder


@pytest.fixture
def answer(capsys):
    """What a verb prints with --json, parsed."""

    def ask(*arguments):
        capsys.readouterr()
        assert unmask(*arguments, "--json") == 0
        return json.loads(capsys.readouterr().out)

    return ask


def options_of(verb: str) -> dict[str, inspect.Parameter]:
    """Names and defaults of a verb on the command line, in Python's words."""
    verbs = next(action for action in cli._parser()._actions if action.dest == "verb").choices
    found = {}
    for action in verbs[verb]._actions:
        if action.dest not in ONLY_SHELL and action.default is not argparse.SUPPRESS:  # short for --set NAME=VALUE
            found[action.dest] = (action.required, action.default)
            written = {o.lstrip("-").replace("-", "_") for o in action.option_strings} or {action.dest}
            assert action.dest in written | {RENAMED.get(o) for o in action.option_strings}
    return found


def verbs() -> list[str]:
    return list(next(action for action in cli._parser()._actions if action.dest == "verb").choices)


@pytest.mark.parametrize("verb", verbs())
def test_python_and_the_command_line_have_the_same_names_and_defaults(verb):
    signature = inspect.signature(getattr(api, verb)).parameters
    python = {
        name: (p.default is p.empty, None if p.default is p.empty else p.default)
        for name, p in signature.items()
        if name not in ONLY_PYTHON and (verb, name) != ("resume", "mask")  # a callable, which no shell can give
    }
    shell = options_of(verb)
    assert set(shell) == set(python)
    for name, (required, default) in shell.items():
        assert required == python[name][0], name
        if not required:
            mine, theirs = default, python[name][1]
            assert list(mine) == list(theirs) if isinstance(theirs, tuple) else mine == theirs, name


def test_every_verb_of_the_command_line_is_a_function_of_the_package():
    for verb in verbs():
        assert getattr(package, verb) is getattr(api, verb)
    assert {"create", "load"} <= set(dir(package))


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_reports_as_json_and_has_help(verb, capsys):
    assert unmask(verb, "--help") == 0
    text = capsys.readouterr().out
    assert "--json" in text
    assert "--debug" in text


def test_inspect_prints_and_saves_the_data_card(tmp_path, answer, capsys):
    card = answer("inspect", "digits", "--out", tmp_path / "card.json", *NETWORK)
    assert (card["count"], card["channels"], card["classes"][0]) == (1797, ["grey"], "0")
    assert {"mean", "std", "minimum", "maximum", "sizes", "duplicates", "unreadable", "fingerprint"} <= set(card)
    assert json.loads((tmp_path / "card.json").read_text()) == card
    assert unmask("inspect", "digits", *NETWORK) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("1,797", "pictures/s, an epoch", "image_size=16", "random crops"))


def test_pretrain_leaves_everything_that_the_other_verbs_read(run):
    found = {path.name for path in run.iterdir()}
    assert {
        "config.json",
        "data_card.json",
        "log.jsonl",
        "speed.jsonl",
        "tensorboard",
        "pictures",
        "advice.txt",
    } <= found
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["kind"] == "train"] == [1, 2, 3, 4]
    assert {"loss", "gradient_norm", "lr", "epoch"} <= set(rows[1])
    held = [row for row in rows if row["kind"] == "held_out"]
    assert [row["step"] for row in held] == [0, 4]
    assert {"loss", "explained_variance", "rankme", "feature_std", "beats/nearest"} <= set(held[0])
    assert any(name.startswith("knn/") for name in held[0])
    state = newest(run).state
    assert state["config"]["settings"]["patch_size"] == 4
    assert state["data_card"]["count"] == 200
    assert {"unmask", "torch"} <= set(state["config"]["versions"])


@quickly
def test_pretrain_and_resume_name_the_run(tmp_path, answer, capsys):
    assert answer("pretrain", "digits", "--out", tmp_path / "run", *SMALL, "--epochs", 0) == {
        "out": str(tmp_path / "run")
    }
    assert answer("resume", tmp_path / "run", "--quiet") == {"out": str(tmp_path / "run")}


@quickly
def test_no_epochs_save_the_untrained_network(tmp_path):
    for seed in (5, 5, 6):
        folder = tmp_path / f"{seed}-{len(list(tmp_path.iterdir()))}"
        assert pretrain("digits", folder, "--epochs", 0, "--seed", seed) == 0
        assert newest(folder).step == 0
    hashes = [state_hash(newest(folder).tensors("method")) for folder in sorted(tmp_path.iterdir())]
    assert hashes[0] == hashes[1] != hashes[2]
    settings = load(tmp_path / "5-0").config.settings
    torch.manual_seed(5)
    assert state_hash(dict(package.create("mae", **settings).state_dict())) == hashes[0]
    assert unmask("embed", tmp_path / "5-0", "--out", tmp_path / "x.npy") == 0


@quickly
def test_settings_reach_the_method_whatever_way_they_are_written(tmp_path):
    assert pretrain("digits", tmp_path / "run", "--epochs", 0, "--set", "image_size=16,24", "--set", "ratio=.5") == 0
    loaded = load(tmp_path / "run")
    assert loaded.config.settings["image_size"] == [16, 24]
    assert loaded.method.encoder.grid == (4, 6)
    assert loaded.method.sampler.ratio == 0.5


@quickly
def test_python_gives_the_run_of_the_command_line(tmp_path, run):
    package.pretrain(
        "digits", tmp_path / "run", model="16x2x2", batch=16, limit=200, steps=4, monitor_every=4, log_every=1,
        image_size=16, patch_size=4, decoder_width=16, decoder_depth=1, decoder_heads=2, progress=False,
        say=lambda _: None,
    )  # fmt: skip
    assert (tmp_path / "run" / "log.jsonl").read_text() == (run / "log.jsonl").read_text()


def test_evaluate_reports_every_block_and_saves_the_table(run, answer):
    found = answer("evaluate", run, "--with", "knn,ridge", "--limit", 300)
    assert [outcome["name"] for outcome in found["outcomes"]] == ["knn", "ridge"]
    assert {"validation", "best", "test", "pixels", "chance"} <= set(found["outcomes"][0])
    assert "kNN" in found["usual"]
    assert json.loads((run / "evaluation.json").read_text()) == found


def test_evaluate_prints_a_table(run, capsys):
    assert unmask("evaluate", run, "--with", "knn", "--limit", 300) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("block", "knn", "test", "raw pixels", "chance", "usual for MAE"))


def test_finetune_reports_the_test_accuracy_and_saves_the_classifier(tmp_path, run, answer):
    found = answer("finetune", run, "--epochs", 1, "--out", tmp_path / "classifier", "--quiet")
    assert 0 <= found["test"] <= 1
    assert found["metric"] == "accuracy"
    assert sum(found["samples"].values()) == 1797
    tensors = load_file(tmp_path / "classifier" / "model.safetensors")
    assert tensors["head.weight"].shape == (10, 16)
    described = json.loads((tmp_path / "classifier" / "config.json").read_text())
    assert described["unmask"]["classes"] == [str(i) for i in range(10)]
    assert described["unmask"]["normalisation"]["channels"] == ["grey"]


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_embed_writes_one_vector_per_picture_whatever_the_batch(tmp_path, run, answer, kind):
    tables = []
    for batch in (1, 64):
        file = tmp_path / f"{batch}.{kind}"
        found = answer("embed", run, "--out", file, "--batch", batch)
        assert (found["count"], found["width"], found["left_out"]) == (1797, 16, {})
        if kind == "npy":
            tables.append(np.load(file))
        else:
            table = parquet.read_table(file)
            assert table.column_names == ["name", "label", "vector"]
            assert len(set(table["name"].to_pylist())) == 1797
            tables.append(np.array(table["vector"].to_pylist(), dtype=np.float32))
    np.testing.assert_allclose(*tables, atol=1e-5)  # sums are ordered differently


def test_embed_never_masks(tmp_path, run, monkeypatch):
    def refuse(*_):
        raise AssertionError("something was masked")

    assert unmask("embed", run, "--out", tmp_path / "a.npy") == 0
    monkeypatch.setattr("unmask.core.mask.Mask.visible", refuse)
    monkeypatch.setattr("unmask.parts.masks.random.RandomMask.__call__", refuse)
    assert unmask("embed", run, "--out", tmp_path / "b.npy") == 0
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_embed_takes_any_block(tmp_path, run):
    for block in (1, 2):
        assert unmask("embed", run, "--out", tmp_path / f"{block}.npy", "--block", block) == 0
    assert unmask("embed", run, "--out", tmp_path / "last.npy") == 0
    first, second, last = (np.load(tmp_path / f"{name}.npy") for name in ("1", "2", "last"))
    assert np.array_equal(second, last)
    assert not np.allclose(first, second)


def test_view_draws_the_newest_state_and_snapshots(tmp_path, run, answer):
    found = answer("view", run, "--images", 2)
    assert found == {"out": str(run / "view.png")}
    assert Image.open(run / "view.png").size[0] > 100
    assert unmask("view", run, "--step", 0, "--images", 2, "--out", tmp_path / "deep" / "first.png") == 0
    assert (tmp_path / "deep" / "first.png").is_file()


def test_analyse_writes_numbers_and_plots(tmp_path, run, answer):
    found = answer("analyse", run, "--images", 4, "--out", tmp_path / "analysis")
    assert found
    assert list((tmp_path / "analysis").glob("*.png"))


@pytest.mark.parametrize("to", ["timm", "transformers", "torch"])
def test_export_says_what_was_written_and_how_it_is_used(tmp_path, run, answer, to):
    found = answer("export", run, "--to", to, "--out", tmp_path / to)
    assert found["to"] == to
    assert sorted(found["files"]) == sorted(path.name for path in (tmp_path / to).iterdir())
    assert "model.safetensors" in found["files"]
    assert str(tmp_path / to) in found["usage"]
    assert answer("info", tmp_path / to)["kind"] == ("unmask" if to == "torch" else to)


def test_info_says_what_a_run_is(run, answer, capsys):
    found = answer("info", run)
    assert (found["kind"], found["method"], found["step"], found["steps"]) == ("run", "mae", 4, 4)
    assert found["parameters"] > 0
    assert unmask("info", run) == 0
    assert "method: mae" in capsys.readouterr().out


def test_methods_lists_every_system_with_computed_states(answer, capsys):
    found = answer("methods")
    assert [row["slug"] for row in found] == slugs()
    keys = ["slug", "id", "title", "modality", "hides", "predicts", "works", "faithful", "proven", "claims"]
    assert all(list(row) == keys for row in found)
    assert all(isinstance(row[state], bool) for row in found for state in keys[-4:-1])
    numbers = {row["slug"]: row["id"] for row in found}
    assert (numbers["mae"], numbers["self_guided_mae"]) == (4, 1)
    assert unmask("methods") == 0
    assert "Self-Guided MAE" in capsys.readouterr().out


@pytest.mark.parametrize("slug", slugs())
def test_methods_shows_one_system_with_arguments_recipe_and_evidence(slug, answer, capsys):
    found = answer("methods", slug)
    assert {"paper", "year", "claim", "about", "arguments", "recipe", "evidence"} <= set(found)
    assert all({"default", "of"} <= set(argument) for argument in found["arguments"].values())
    assert found["arguments"]
    assert found["recipe"]["epochs"] > 0
    assert unmask("methods", slug) == 0
    assert found["paper"] in capsys.readouterr().out


def test_an_unknown_system_is_not_proven(capsys):
    assert unmask("prove", "self_guided") != 0
    assert "did you mean self_guided_mae" in capsys.readouterr().err


def test_the_installed_command_runs():
    done = subprocess.run(
        [sys.executable, "-m", "unmask.cli", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"unmask {package.__version__}\n"
