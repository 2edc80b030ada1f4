"""Checkpoints: at every instant one of them loads with the right bits, and damage is found before it is used."""

import json
import math
import os
import pickle
import random
import resource
import shutil
import signal
import stat
import time
from contextlib import contextmanager, suppress
from errno import EDQUOT, EIO, ENOSPC, EROFS

import pytest
import torch
from safetensors.torch import load_file

from unmask.train import checkpoint
from unmask.train.checkpoint import (
    BadCheckpoint,
    DiskFull,
    all_steps,
    newest,
    open_checkpoint,
    read_tensors,
    save,
    state_hash,
)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """fsync shows its worth only when the power fails; one test looks at when it is called."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def contents(step, version=0):
    """What the checkpoint of a step holds in these tests: a function of the step and a version."""
    noise = torch.Generator().manual_seed(1000 * version + step)
    return {
        "method": {"weight": torch.randn(5, 3, generator=noise), "count": torch.tensor(step)},
        "optimizer": {"weight/exp_avg": torch.randn(15, generator=noise).bfloat16()},
    }


def fill(folder, *steps, version=0):
    for step in steps:
        save(folder, step, contents(step, version), {"version": version})
    return folder


def same(found, version=0):
    """Whether a checkpoint holds the very bits that were saved under its step."""
    expected = contents(found.step, version)
    return found.state == {"version": version} and all(
        state_hash(found.tensors(section)) == state_hash(expected[section]) for section in expected
    )


def place(folder, step):
    return folder / "checkpoints" / f"step-{step:08d}"


def leftovers(folder):
    return [path.name for path in (folder / "checkpoints").iterdir() if path.suffix]


# --- what is saved returns


def test_a_checkpoint_returns_with_the_same_bits(tmp_path):
    fill(tmp_path, 7)
    found = newest(tmp_path)
    assert found.step == 7
    assert found.sections == ("method", "optimizer")
    assert found.warnings == ()
    assert same(found)


@pytest.mark.parametrize("dtype", list(checkpoint.DTYPES), ids=str)
def test_every_kind_of_number_keeps_its_bits(tmp_path, dtype):
    size = torch.empty((), dtype=dtype).element_size()
    noise = torch.randint(0, 2 if dtype is torch.bool else 256, (6 * size,), dtype=torch.uint8)
    tensors = {"x": noise.view(dtype).reshape(2, 3), "scalar": noise[:size].view(dtype).reshape(()), "b": torch.ones(1)}
    save(tmp_path, 1, {"s": tensors}, {})
    back = newest(tmp_path).tensors("s")
    assert state_hash(back) == state_hash(tensors)
    assert {name: value.dtype for name, value in back.items()} == {name: v.dtype for name, v in tensors.items()}


def test_views_of_one_storage_are_saved_by_value(tmp_path):
    whole = torch.arange(24.0).reshape(4, 6)
    views = {
        "whole": whole,
        "same": whole,
        "transposed": whole.t(),
        "part": whole[1:3, ::2],
        "expanded": whole[0].expand(3, 6),
        "empty": whole[:0],
        "conjugate": torch.complex(whole, whole).conj(),
    }
    save(tmp_path, 1, {"s": views}, {})
    back = newest(tmp_path).tensors("s")
    for name, view in views.items():
        assert torch.equal(back[name], view), name
    assert back["whole"].data_ptr() != back["same"].data_ptr()


def test_other_programs_read_the_sections_as_safetensors(tmp_path):
    path = fill(tmp_path, 1) and place(tmp_path, 1) / "method.safetensors"
    assert state_hash(load_file(path)) == state_hash(contents(1)["method"])


def test_the_state_holds_any_json(tmp_path):
    state = {"config": {"lr": 1.5e-4, "none": None}, "random": list(range(700)), "naïve": ["日本", True], "huge": 2**80}
    save(tmp_path, 1, {}, state)
    assert newest(tmp_path).state == state


def test_two_runs_with_the_same_state_write_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        fill(tmp_path / name, 1)
    for file in place(tmp_path / "a", 1).iterdir():
        assert file.read_bytes() == (place(tmp_path / "b", 1) / file.name).read_bytes()


def test_colleagues_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        fill(tmp_path, 1)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in place(tmp_path, 1).iterdir()} == {0o644}


def test_loaded_tensors_live_on_when_the_file_is_gone(tmp_path):
    fill(tmp_path, 1)
    tensors = newest(tmp_path).tensors("method")
    with open(place(tmp_path, 1) / "method.safetensors", "r+b") as file:
        file.truncate(0)
    assert state_hash(tensors) == state_hash(contents(1)["method"])


@pytest.mark.parametrize(
    ("tensors", "state", "error"),
    [
        ({"../evil": {}}, {}, "cannot name a file"),
        ({"s": {"x": torch.zeros(2, device="meta")}}, {}, "cannot be saved"),
        ({"s": {"x": torch.zeros(2, 2).to_sparse()}}, {}, "cannot be saved"),
        ({}, {"path": object()}, "plain JSON"),
    ],
)
def test_what_cannot_be_saved_is_refused_before_anything_is_written(tmp_path, tensors, state, error):
    with pytest.raises((TypeError, ValueError), match=error):
        save(tmp_path, 1, tensors, state)
    assert list(tmp_path.iterdir()) == []


# --- which ones stay


def test_the_newest_two_and_the_pinned_ones_stay(tmp_path):
    for step in range(1, 8):
        save(tmp_path, step, contents(step), {"version": 0}, pinned=[2])
    assert all_steps(tmp_path) == [2, 6, 7]
    assert leftovers(tmp_path) == []


def test_a_damaged_checkpoint_does_not_count_as_kept(tmp_path):
    fill(tmp_path, 1, 2)
    os.truncate(place(tmp_path, 2) / "method.safetensors", 9)
    fill(tmp_path, 3)
    assert all_steps(tmp_path) == [1, 3]


def test_a_run_that_went_back_sets_the_later_checkpoints_aside(tmp_path):
    fill(tmp_path, 1, 5)
    fill(tmp_path, 2, version=1)
    assert newest(tmp_path).step == 2
    assert same(open_checkpoint_aside(tmp_path, 5))
    fill(tmp_path, 5, version=1)
    fill(tmp_path, 3, version=2)
    assert leftovers(tmp_path) == ["step-00000005.abandoned"]


def open_checkpoint_aside(folder, step):
    aside = place(folder, step).with_suffix(".abandoned")
    back = folder / "back" / "checkpoints" / place(folder, step).name
    shutil.copytree(aside, back)
    return open_checkpoint(back)


def test_saving_a_step_again_replaces_it(tmp_path):
    fill(tmp_path, 1)
    fill(tmp_path, 1, version=1)
    assert same(newest(tmp_path), version=1)
    assert leftovers(tmp_path) == []


def test_a_folder_without_checkpoints_is_not_the_same_as_one_with_damaged_ones(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        newest(tmp_path)
    fill(tmp_path, 1)
    (place(tmp_path, 1) / "manifest.json").unlink()
    with pytest.raises(BadCheckpoint, match=r"is whole.*step-00000001: manifest.json is missing"):
        newest(tmp_path)
    assert all_steps(tmp_path) == [1]


def test_the_choice_is_made_by_step_whatever_the_clock_says(tmp_path):
    fill(tmp_path, 1, 2)
    tomorrow = time.time() + 86_400
    for file in place(tmp_path, 1).iterdir():
        os.utime(file, (tomorrow, tomorrow))
    os.utime(place(tmp_path, 1), (tomorrow, tomorrow))
    assert newest(tmp_path).step == 2


def test_a_reader_finds_the_newest_while_the_run_deletes_what_it_looks_at(tmp_path, monkeypatch):
    fill(tmp_path, 1)
    real = checkpoint.hashlib.file_digest

    def meanwhile(stream, kind):
        monkeypatch.setattr(checkpoint.hashlib, "file_digest", real)
        fill(tmp_path, 2, 3)
        raise FileNotFoundError("deleted under the reader")

    monkeypatch.setattr(checkpoint.hashlib, "file_digest", meanwhile)
    found = newest(tmp_path)
    assert found.step == 3
    assert found.warnings == ()


# --- a crash at any moment


class Killed(BaseException):
    """The process ends here: nothing after it is carried out."""


class Fault:
    """Fails at the system call number `at`: as a death before or after it, or as one error of the disk."""

    def __init__(self, at, kind):
        self.at, self.kind, self.calls, self.dead = at, kind, 0, False

    def around(self, call, *arguments, torn=None, **options):
        if self.dead:
            raise Killed
        self.calls += 1
        if self.calls != self.at:
            return call(*arguments, **options)
        self.dead = self.kind != "error"
        if self.kind == "error":
            raise OSError(EIO, "disk error")
        if self.kind == "after":
            call(*arguments, **options)
        elif torn:
            torn()
        raise Killed

    @contextmanager
    def active(self, monkeypatch):
        with monkeypatch.context() as patch:
            for name in ("mkdir", "rename", "fsync", "open", "unlink", "rmdir"):
                patch.setattr(os, name, self._wrap(getattr(os, name)))
            patch.setattr(checkpoint, "open", lambda *a: Stream(self, *a), raising=False)
            yield

    def _wrap(self, call):
        return lambda *arguments, **options: self.around(call, *arguments, **options)


class Stream:
    """A file whose every write can be cut in the middle."""

    def __init__(self, fault, path, mode):
        self.fault = fault
        self.file = fault.around(open, path, mode, buffering=0)

    def write(self, chunk):
        half = chunk[: len(chunk) // 2]
        return self.fault.around(self.file.write, chunk, torn=lambda: self.file.write(half))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)


def whole(path):
    return open_checkpoint(path).path == path


@pytest.mark.parametrize("kind", ["before", "after", "error"])
@pytest.mark.parametrize("scene", ["next", "replace"])
def test_whatever_call_a_save_fails_at_a_verified_checkpoint_with_the_right_bits_is_left(
    tmp_path, monkeypatch, kind, scene
):
    origin = fill(tmp_path / "origin", *([1, 2] if scene == "next" else [3]))
    outcomes = []
    for at in range(1, 1000):
        folder = tmp_path / str(at)
        shutil.copytree(origin, folder)
        fault = Fault(at, kind)
        with fault.active(monkeypatch), suppress(Killed, OSError):
            fill(folder, 3, version=1)
        if fault.calls < at:
            break
        found = newest(folder)
        fresh = found.step == 3 and same(found, version=1)
        assert fresh or (same(found) and found.step == (2 if scene == "next" else 3)), f"call {at}"
        assert found.warnings == ()
        assert all(whole(path) for path in checkpoint._found(folder / "checkpoints")), "nothing half-deleted is left"
        outcomes.append(fresh)
        fill(folder, 3, version=1)  # the next attempt is none the worse
        assert same(newest(folder), version=1)
        assert all_steps(folder) == ([2, 3] if scene == "next" else [3])
        assert leftovers(folder) == []
    assert len(outcomes) >= 12
    assert outcomes == sorted(outcomes), "once the new one is there it stays"
    assert {False, True} == set(outcomes)


def test_a_version_that_was_being_replaced_survives_a_second_crash(tmp_path, monkeypatch):
    fill(tmp_path, 1)
    os.rename(place(tmp_path, 1), place(tmp_path, 1).with_suffix(".old"))  # where the first crash came
    assert all_steps(tmp_path) == [1]
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_write", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            fill(tmp_path, 2)
    assert same(newest(tmp_path))


def test_every_file_and_folder_is_on_the_disk_before_the_next_thing_relies_on_it(tmp_path, monkeypatch):
    events = []
    rename = os.rename
    monkeypatch.setattr(os, "fsync", lambda descriptor: events.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    monkeypatch.setattr(os, "rename", lambda old, new: (events.append("rename"), rename(old, new)))
    fill(tmp_path, 1)
    home = tmp_path / "checkpoints"
    names = ["method.safetensors", "optimizer.safetensors", "state.json", "manifest.json", ""]
    written = [str(home / "step-00000001.tmp" / name) for name in names]
    assert events == [str(tmp_path), *written, "rename", str(home)]


def test_a_process_killed_at_random_moments_loses_at_most_the_step_that_it_was_saving(tmp_path):
    chance = random.Random(0)
    fill(tmp_path, 0)
    for _ in range(20):
        process = os.fork()
        if process == 0:
            try:
                for step in range(newest(tmp_path).step + 1, 10**6):
                    fill(tmp_path, step)
                    (tmp_path / f"done-{step}").touch()
            finally:
                os._exit(1)
        time.sleep(chance.uniform(0.005, 0.05))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        found = newest(tmp_path)
        assert same(found)
        assert found.step >= max([int(path.name[5:]) for path in tmp_path.glob("done-*")], default=0)
        assert found.warnings == ()
    assert found.step > 15


# --- damage


def test_a_truncated_file_is_passed_over_with_a_named_warning(tmp_path):
    origin = fill(tmp_path / "origin", 1, 2)
    for file in place(origin, 2).iterdir():
        for share in (0, 0.01, 0.5, 0.999):
            folder = tmp_path / "copy"
            shutil.copytree(origin, folder)
            os.truncate(place(folder, 2) / file.name, int(share * file.stat().st_size))
            found = newest(folder)
            assert found.step == 1
            assert same(found)
            assert len(found.warnings) == 1
            assert "step-00000002" in found.warnings[0]
            assert file.name in found.warnings[0]
            shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["method.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("bit", [0, 3, 5, 7])
def test_one_flipped_bit_anywhere_is_found(tmp_path, name, bit):
    fill(tmp_path, 1, 2)
    file = place(tmp_path, 2) / name
    good = file.read_bytes()
    for position in range(0, len(good), 1 if len(good) < 300 else 3):
        file.write_bytes(good[:position] + bytes([good[position] ^ 1 << bit]) + good[position + 1 :])
        found = newest(tmp_path)
        assert found.step == 1, f"bit {bit} of byte {position} of {name}"
        assert name in found.warnings[0]
    file.write_bytes(good)
    assert newest(tmp_path).step == 2


def test_a_missing_or_unreadable_file_is_passed_over(tmp_path):
    fill(tmp_path, 1, 2)
    (place(tmp_path, 2) / "method.safetensors").unlink()
    assert newest(tmp_path).warnings == ("passed over checkpoint step-00000002: method.safetensors is missing",)
    os.mkfifo(place(tmp_path, 2) / "method.safetensors")
    assert newest(tmp_path).step == 1


def forge(folder, header, body=b"", length=None):
    """A checkpoint of step 2 by someone who knows how to write a manifest that verifies."""
    fill(folder, 1, 2)
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(text) if length is None else length
    file = place(folder, 2) / "method.safetensors"
    file.write_bytes(length.to_bytes(8, "little") + text + body)
    sign(folder, {"method.safetensors": entry_of(file), "state.json": entry_of(place(folder, 2) / "state.json")})


def entry_of(file):
    return {"bytes": file.stat().st_size, "sha256": checkpoint.hashlib.sha256(file.read_bytes()).hexdigest()}


def sign(folder, files):
    (place(folder, 2) / "manifest.json").write_bytes(checkpoint._render({"step": 2, "files": files}))


ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
NONE = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}


EVIL = {
    "length 2^63": {"header": b"{}", "length": 2**63},
    "length 2^64 - 1": {"header": b"{}", "length": 2**64 - 1},
    "length beyond the file": {"header": b"{}", "length": 100},
    "17 MB of header": {"header": b" " * (17 << 20)},
    "100,000 tensors": {
        "header": {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(10**5)}
    },
    "overlapping": {"header": {"a": ONE, "b": {**ONE, "data_offsets": [4, 12]}}, "body": bytes(12)},
    "beyond the end": {"header": {"a": {**ONE, "data_offsets": [0, 80]}}, "body": bytes(8)},
    "huge shape": {"header": {"a": {**ONE, "shape": [2**40]}}, "body": bytes(8)},
    "overflowing shape": {"header": {"a": {**ONE, "shape": [2**62, 2**62]}}, "body": bytes(8)},
    "negative shape": {"header": {"a": {**ONE, "shape": [-2]}}, "body": bytes(8)},
    "unknown kind": {"header": {"a": {**ONE, "dtype": "Q7"}}, "body": bytes(8)},
    "unlisted bytes": {"header": {"a": ONE}, "body": bytes(800)},
    "deep": {"header": b"[" * 100_000},
    "a list": {"header": b"[]"},
    "no text": {"header": b"\xff\xfe"},
}


@pytest.mark.parametrize("evil", list(EVIL))
def test_an_evil_tensor_file_is_refused_quickly_though_its_manifest_verifies(tmp_path, evil):
    forge(tmp_path, **EVIL[evil])
    start = time.process_time()
    with pytest.raises(BadCheckpoint, match=r"method.safetensors"):
        open_checkpoint(place(tmp_path, 2)).tensors("method")
    assert time.process_time() - start < 2  # seconds of computing


def test_a_pickle_is_named_and_never_opened(tmp_path):
    class Canary:
        def __reduce__(self):
            return (open, (str(tmp_path / "canary"), "w"))

    torch.save({"x": Canary()}, tmp_path / "zip.pt")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Canary()))
    for name in ("zip.pt", "plain.pkl"):
        with pytest.raises(BadCheckpoint, match="is a pickle"):
            read_tensors(tmp_path / name)
    assert not (tmp_path / "canary").exists()


def test_a_header_whose_length_spells_the_start_of_a_pickle_is_read(tmp_path):
    length = int.from_bytes(b"PK", "little")
    header = json.dumps({"a": ONE}).encode().ljust(length)
    (tmp_path / "x.safetensors").write_bytes(length.to_bytes(8, "little") + header + bytes(8))
    assert torch.equal(read_tensors(tmp_path / "x.safetensors")["a"], torch.zeros(2))


@pytest.mark.parametrize("name", ["../method.safetensors", "/etc/passwd", "sub/x.safetensors", "x.pt", "..", ""])
def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path, name):
    forge(tmp_path, {"a": ONE}, bytes(8))
    shutil.copy(place(tmp_path, 2) / "method.safetensors", tmp_path / "checkpoints" / "method.safetensors")
    state = entry_of(place(tmp_path, 2) / "state.json")
    sign(tmp_path, {"state.json": state, name: entry_of(place(tmp_path, 2) / "method.safetensors")})
    with pytest.raises(BadCheckpoint, match="no name of a section"):
        open_checkpoint(place(tmp_path, 2))


@pytest.mark.parametrize("files", [None, [], {}, {"state.json": 3}, {f"s{i}.safetensors": {} for i in range(99)}])
def test_a_manifest_of_another_form_is_refused(tmp_path, files):
    fill(tmp_path, 1, 2)
    sign(tmp_path, files)
    assert newest(tmp_path).step == 1


def test_a_checkpoint_under_the_name_of_another_step_is_refused(tmp_path):
    fill(tmp_path, 1)
    os.rename(place(tmp_path, 1), place(tmp_path, 9))
    with pytest.raises(BadCheckpoint, match="step 9"):
        newest(tmp_path)


# --- no room, no permission


def test_too_little_free_space_is_said_with_both_numbers_before_writing(tmp_path, monkeypatch):
    fill(tmp_path, 1)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    big = {"method": {"x": torch.zeros(1000)}}
    with pytest.raises(DiskFull, match=r"need 4,803 bytes, free 1,000 bytes"):  # (4,000 + 2 of the state) x 1.2
        save(tmp_path, 2, big, {})
    assert leftovers(tmp_path) == []
    assert same(newest(tmp_path))


@pytest.mark.parametrize("code", [ENOSPC, EDQUOT])
def test_a_disk_that_fills_up_while_writing_leaves_the_older_checkpoint_and_no_fragment(tmp_path, monkeypatch, code):
    fill(tmp_path, 1)

    def full(descriptor):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskFull, match=os.strerror(code).lower()):
            fill(tmp_path, 2)
    assert leftovers(tmp_path) == []
    assert same(newest(tmp_path))
    assert newest(tmp_path).step == 1


def test_a_limit_of_the_system_on_file_sizes_counts_as_a_full_disk(tmp_path):
    fill(tmp_path, 1)
    process = os.fork()
    if process == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            save(tmp_path, 2, {"method": {"x": torch.zeros(10_000)}}, {})
        except DiskFull:
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 7
    assert leftovers(tmp_path) == []
    assert same(newest(tmp_path))


def test_a_disk_that_turns_read_only_keeps_what_is_there(tmp_path, monkeypatch):
    fill(tmp_path, 1)

    def refuse(*_):
        raise OSError(EROFS, os.strerror(EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", refuse)
        with pytest.raises(OSError, match="Read-only"):
            fill(tmp_path, 2)
    assert same(newest(tmp_path))


# --- hashes


def test_the_hash_sees_names_kinds_shapes_and_single_bits():
    x = torch.tensor([0.0, 1.0])
    others = [
        {"y": x},
        {"x": x.double()},
        {"x": x.view(torch.int32)},
        {"x": x.reshape(2, 1)},
        {"x": torch.tensor([-0.0, 1.0])},
        {"x": torch.tensor([0.0, math.nextafter(1.0, 2.0)], dtype=torch.float64)},
        {"x": x, "y": x},
        {},
    ]
    assert len({state_hash(tensors) for tensors in [{"x": x}, *others]}) == len(others) + 1
    assert state_hash({"a": x, "b": x.t()}) == state_hash({"b": x.clone(), "a": x.clone()})
