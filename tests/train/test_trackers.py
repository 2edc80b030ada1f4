"""Logs: a resumed run's log is an uninterrupted one's, secrets stay out, and no tracker can stop a training."""

import importlib.machinery
import importlib.util
import json
import math
import os
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

from unmask.train import trackers
from unmask.train.trackers import LOG, NOTES, SPEED, Logs, redact


def rows(folder, name=LOG):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def steps(folder):
    return [row["step"] for row in rows(folder)]


def write(logs, *steps):
    for step in steps:
        logs.scalars(step, {"kind": "train", "loss": 1 / (step + 3), "epoch": step / 10})
        logs.speeds(step, {"images_per_second": 100.0})


class Recorder:
    """A tracker that remembers what it was told, and can be made to fail."""

    def __init__(self, folder, project, config):
        self.project, self.config, self.told, self.broken = project, config, [], False

    def _tell(self, *what):
        if self.broken:
            raise ConnectionError("https://me:pass@server is away")
        self.told.append(what)

    def scalars(self, step, values):
        self._tell("scalars", step, values)

    def image(self, step, name, pixels):
        self._tell("image", step, name, pixels)

    def rewind(self, step):
        self._tell("rewind", step)

    def close(self):
        self._tell("close")


@pytest.fixture
def recorder(monkeypatch):
    """Makes "json" (a package that is always there) the name of a tracker that records."""
    made = []

    def make(*arguments):
        made.append(Recorder(*arguments))
        return made[-1]

    monkeypatch.setitem(trackers.TRACKERS, "json", make)
    return made


# --- JSON lines


def test_a_row_is_on_the_disk_as_soon_as_it_is_logged(tmp_path):
    with Logs(tmp_path, trackers=()) as logs:
        logs.scalars(3, {"kind": "train", "loss": torch.tensor(0.25), "knn": np.float32(0.5), "n": 7, "best": None})
        assert rows(tmp_path) == [{"step": 3, "kind": "train", "loss": 0.25, "knn": 0.5, "n": 7, "best": None}]


def test_numbers_keep_their_bits(tmp_path):
    values = {"third": 1 / 3, "tiny": 5e-324, "single": torch.tensor(0.1), "whole": 2**60 + 1, "yes": True}
    with Logs(tmp_path, trackers=()) as logs:
        logs.scalars(1, values)
    (row,) = rows(tmp_path)
    assert row == {"step": 1, **values, "single": torch.tensor(0.1).item()}


def test_what_is_not_finite_is_strict_json_and_reads_back(tmp_path):
    with Logs(tmp_path, trackers=()) as logs:
        logs.scalars(1, {"a": math.nan, "b": torch.tensor(math.inf), "c": -math.inf})
    (row,) = [json.loads(line, parse_constant=pytest.fail) for line in (tmp_path / LOG).read_text().splitlines()]
    assert math.isnan(float(row["a"]))
    assert (float(row["b"]), float(row["c"])) == (math.inf, -math.inf)


@pytest.mark.parametrize("value", [torch.zeros(2), [1, 2], {"a": 1}, object()])
def test_what_is_no_single_number_is_refused_by_name(tmp_path, value):
    with Logs(tmp_path, trackers=()) as logs, pytest.raises(TypeError, match="'loss' is a"):
        logs.scalars(1, {"loss": value})
    assert rows(tmp_path) == []


@pytest.mark.parametrize("crashed", [5, 6, 9])
def test_the_log_of_a_resumed_run_is_that_of_an_uninterrupted_one(tmp_path, crashed):
    with Logs(tmp_path / "whole", trackers=()) as logs:
        write(logs, *range(1, 11))
    with Logs(tmp_path / "resumed", trackers=()) as logs:
        write(logs, *range(1, crashed + 1))
    for name in (LOG, SPEED):
        with open(tmp_path / "resumed" / name, "ab") as file:
            file.write(b'{"step": 2, "lo')  # the process was killed while it wrote
    with Logs(tmp_path / "resumed", trackers=()) as logs:
        logs.rewind(5)
        write(logs, *range(6, 11))
    for name in (LOG, SPEED):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "resumed" / name).read_bytes()


def test_a_row_that_was_cut_off_does_not_spoil_the_next_one(tmp_path):
    (tmp_path / LOG).write_bytes(b'{"step": 1, "loss": 1.0}\n{"step": 2, "loss": 0.')
    with Logs(tmp_path, trackers=()) as logs:
        write(logs, 2)
    assert steps(tmp_path) == [1, 2]


def test_notes_carry_the_time_and_outlive_a_rewind(tmp_path):
    with Logs(tmp_path, trackers=()) as logs:
        logs.note(9, "passed over a checkpoint")
        logs.rewind(3)
    (row,) = rows(tmp_path, NOTES)
    assert (row["step"], row["note"]) == (9, "passed over a checkpoint")
    assert row["time"].startswith("20")


def test_a_crash_during_a_rewind_leaves_the_whole_log(tmp_path, monkeypatch):
    with Logs(tmp_path, trackers=()) as logs:
        write(logs, 1, 2, 3)
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                logs.rewind(1)
    assert steps(tmp_path) == [1, 2, 3]
    with Logs(tmp_path, trackers=()) as logs:
        logs.rewind(1)
    assert steps(tmp_path) == [1]
    assert not list(tmp_path.glob("*.tmp"))


# --- trackers


def test_trackers_get_the_numbers_under_the_name_of_their_kind(tmp_path, recorder):
    with Logs(tmp_path, "birds", ("json", "json"), config={"lr": 1.0}) as logs:
        logs.scalars(4, {"kind": "held_out", "loss": 0.5, "advice": "copies neighbours", "knn": None, "bad": math.inf})
        logs.speeds(4, {"images_per_second": 9})
    (made,) = recorder
    assert (made.project, made.config) == ("birds", {"lr": 1.0})
    assert made.told == [
        ("scalars", 4, {"held_out/loss": 0.5, "held_out/bad": math.inf}),
        ("scalars", 4, {"images_per_second": 9.0}),
        ("close",),
    ]


def test_a_failing_tracker_is_dropped_with_a_note_and_the_log_goes_on(tmp_path, recorder):
    with Logs(tmp_path, trackers=("json",)) as logs:
        write(logs, 1)
        recorder[0].broken = True
        with pytest.warns(RuntimeWarning, match=r"json failed and gets no more.*ConnectionError"):
            write(logs, 2)
        write(logs, 3)
    assert steps(tmp_path) == [1, 2, 3]
    (note,) = rows(tmp_path, NOTES)
    assert note["step"] == 2
    assert "me:pass" not in note["note"]


def test_pictures_arrive_as_three_channels_of_bytes(tmp_path, recorder):
    Image.fromarray(np.full((2, 3), 7, np.uint8)).save(tmp_path / "grey.png")
    with Logs(tmp_path, trackers=("json",)) as logs:
        logs.image(1, "file", tmp_path / "grey.png")
        logs.image(1, "plane", np.full((2, 3), 7, np.uint8))
        logs.image(1, "colour", np.full((2, 3, 3), 7, np.uint8))
        with pytest.raises(TypeError, match="float64"):
            logs.image(1, "unit", np.zeros((2, 3, 3)))
    assert [np.array_equal(told[3], np.full((2, 3, 3), 7)) for told in recorder[0].told[:-1]] == [True] * 3


@pytest.mark.parametrize("name", ["wandb", "mlflow", "trackio"])
def test_a_tracker_that_is_not_installed_names_its_extra_before_anything_starts(tmp_path, monkeypatch, name):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked: None if asked == name else real(asked))
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'unmask\[{name}\]'"):
        Logs(tmp_path / "run", trackers=("tensorboard", name))
    assert not (tmp_path / "run").exists()


def test_an_unknown_tracker_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="tracker 'tensorbord' is unknown; choose from tensorboard, wandb"):
        Logs(tmp_path, trackers=("tensorbord",))


def test_tensorboard_shows_one_curve_after_a_resume(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for first, last, value in ((1, 4, 1.0), (3, 5, 2.0)):
        with Logs(tmp_path) as logs:
            logs.rewind(first - 1)
            for step in range(first, last + 1):
                logs.scalars(step, {"kind": "train", "loss": value})
            logs.image(last, "panels", np.zeros((4, 4, 3), np.uint8))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2)]
    assert [e.step for e in events.Images("panels")] == [5]


class Fake:
    """Stands for a tracking library: remembers every call by its dotted name."""

    def __init__(self, monkeypatch, name, **members):
        self.calls = []
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        for member, value in members.items():
            setattr(module, member, value)
        self.module = module
        monkeypatch.setitem(sys.modules, name, module)

    def record(self, name, result=None):
        def call(*arguments, **options):
            self.calls.append((name, arguments, options))
            return result

        return call

    def of(self, name):
        return [(arguments, options) for called, arguments, options in self.calls if called == name]


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_resumed_run_goes_on_in_the_same_remote_run(tmp_path, monkeypatch, name):
    fake = Fake(monkeypatch, name, Image=lambda pixels: "picture")
    run = types.SimpleNamespace(**{call: fake.record(call) for call in ("log", "finish", "define_metric")})
    fake.module.init = fake.record("init", run)
    for start in (0, 1):
        with Logs(tmp_path / "birds", "project", (name,), config={"api_key": "abc", "lr": 1.0}) as logs:
            logs.rewind(start)
            logs.scalars(start + 1, {"kind": "train", "loss": 0.5})
            logs.image(start + 1, "panels", np.zeros((2, 2, 3), np.uint8))
    first, second = (options for _, options in fake.of("init"))
    assert first == second
    assert first["resume"] == "allow"
    assert first["config"] == {"api_key": "***", "lr": 1.0}
    assert first["name"].startswith("birds")
    expected = {"train/loss": 0.5, "step": 1} if name == "wandb" else {"train/loss": 0.5}
    assert fake.of("log")[0] == ((expected,), {} if name == "wandb" else {"step": 1})
    assert len(fake.of("log")) == 4
    assert len(fake.of("finish")) == 2


def test_mlflow_gets_the_steps_under_names_that_it_accepts(tmp_path, monkeypatch):
    fake = Fake(monkeypatch, "mlflow", MlflowException=RuntimeError)
    client = types.SimpleNamespace(
        get_experiment_by_name=fake.record("find"),
        create_experiment=fake.record("experiment", "7"),
        create_run=fake.record("run", types.SimpleNamespace(info=types.SimpleNamespace(run_id="r1"))),
        **{name: fake.record(name) for name in ("log_batch", "log_dict", "log_image", "update_run", "set_terminated")},
    )
    fake.module.MlflowClient = lambda: client
    Fake(monkeypatch, "mlflow.entities", Metric=lambda *values: values)
    for start in (0, 1):
        with Logs(tmp_path / "birds", "project", ("mlflow",)) as logs:
            logs.rewind(start)
            logs.scalars(start + 1, {"kind": "train", "knn (block:3)": 0.5})
    assert len(fake.of("run")) == 1, "the resumed run goes on in the same remote run"
    ((run, (metric,)), _) = fake.of("log_batch")[1]
    assert run == "r1"
    assert (metric[0], metric[1], metric[3]) == ("train/knn _block_3_", 0.5, 2)


def test_an_mlflow_without_a_server_says_what_to_set(tmp_path, monkeypatch):
    def unreachable():
        raise RuntimeError("no store")

    Fake(monkeypatch, "mlflow", MlflowException=RuntimeError, MlflowClient=unreachable)
    Fake(monkeypatch, "mlflow.entities", Metric=tuple)
    with pytest.raises(ValueError, match="MLFLOW_TRACKING_URI"):
        Logs(tmp_path, trackers=("mlflow",))


# --- secrets


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("s3 at https://me:hunter22@host/data?x=1", "hunter22"),
        ("https://host/a.tar?X-Amz-Signature=0123abcd&b=1", "0123abcd"),
        ("https://host/a?token=0123abcd", "0123abcd"),
        ("GET failed: Authorization: Bearer abc.def.ghi", "abc.def.ghi"),
        ("using hf_" + "a1B2" * 9, "a1B2a1B2"),
        ("sk-" + "a1B2" * 9, "a1B2a1B2"),
        ("WANDB_API_KEY=0123abcd python train.py", "0123abcd"),
        ('{"password": "hunter22"}', "hunter22"),
        ("AKIA" + "ABCD1234" * 2, "ABCD1234"),
    ],
)
def test_secrets_in_texts_are_never_logged(tmp_path, text, secret):
    with Logs(tmp_path, trackers=()) as logs:
        logs.note(1, text)
        logs.scalars(1, {"advice": text})
    for file in tmp_path.iterdir():
        assert secret not in file.read_text()
    assert "***" in (tmp_path / LOG).read_text()


def test_secrets_of_the_environment_are_hidden_wherever_they_turn_up(tmp_path, monkeypatch):
    monkeypatch.setenv("HUB_TOKEN", "correct-horse-battery")
    assert redact({"error": ["401 for correct-horse-battery at hub"]}) == {"error": ["401 for *** at hub"]}


@pytest.mark.parametrize("name", ["token", "hf_token", "API_KEY", "aws_secret_access_key", "db.password"])
def test_settings_with_a_secret_name_are_hidden(name):
    assert redact({"login": {name: "abc", "user": "me"}}) == {"login": {name: "***", "user": "me"}}


@pytest.mark.parametrize(
    "value",
    [
        {"class_token": True, "mask_token": "learned", "tokens": 196, "token": None, "keys": "qkv"},
        "https://host/data/train.tar?version=3",
        "risk-adjusted-sampling-schedule-of-images",
        "hf:hf_internal_testing_image_folder",
        ["user@host:/data", 1.5, None, True],
    ],
)
def test_ordinary_settings_stay_as_they_are(value):
    assert redact(value) == value
