"""The lock of a run: one living process a folder, and no dead one in the way."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from errno import EACCES, ENOLCK, EROFS
from pathlib import Path

import pytest

from unmask.train import lock
from unmask.train.lock import NAME, RunInUse, RunLock

HOLD = """
import os, sys, time
from unmask.train.lock import RunLock
with RunLock(sys.argv[1]):
    worker = os.fork() if "--worker" in sys.argv else -1
    if worker <= 0:
        print("held", os.getpid() if worker == 0 else 0, flush=True)
    time.sleep(30)
    os._exit(0)
"""
OTHER = {"host": "elsewhere", "boot": "another-start", "pid": 4242, "started": "2030-01-01 00:00:00 UTC", "count": 3}


@contextmanager
def holder(folder, *options):
    """Another living process that holds the folder, perhaps with a worker of its own."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder), *options], stdout=subprocess.PIPE, text=True)
    try:
        word, worker = process.stdout.readline().split()
        assert word == "held"
        yield process
        if int(worker) > 0:
            os.kill(int(worker), signal.SIGKILL)  # fails if it is gone: then the test has shown nothing
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def leave(folder, **entry):
    """Writes what a process that is gone has left behind."""
    folder.mkdir(exist_ok=True)
    (folder / NAME).write_text(json.dumps({"token": "theirs", **OTHER, **entry}))


@pytest.fixture
def without_file_locks(monkeypatch):
    def refuse(*_):
        raise OSError(ENOLCK, "no locks here")

    monkeypatch.setattr(lock, "flock", refuse)


def test_the_lock_makes_the_folder_and_says_who_holds_it(tmp_path):
    with RunLock(tmp_path / "runs" / "a") as held:
        entry = json.loads((tmp_path / "runs" / "a" / NAME).read_text())
        assert entry["pid"] == os.getpid()
        assert entry["host"] == os.uname().nodename
        assert entry["boot"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        assert held.notes == []


def test_a_second_process_is_refused_at_once_by_name_and_the_first_is_left_alone(tmp_path):
    with holder(tmp_path) as process:
        before = (tmp_path / NAME).read_bytes()
        start = time.monotonic()
        with pytest.raises(RunInUse, match=rf"in use by process {process.pid} on .* \(started 20.* UTC\)"):
            RunLock(tmp_path).__enter__()
        assert time.monotonic() - start < 1
        assert (tmp_path / NAME).read_bytes() == before
        assert process.poll() is None


def test_one_process_cannot_hold_a_folder_twice(tmp_path):
    with RunLock(tmp_path) as first:
        with pytest.raises(RunInUse):
            RunLock(tmp_path).__enter__()
        first.check()
        with pytest.raises(RunInUse):
            RunLock(tmp_path).__enter__()


@pytest.mark.parametrize("options", [(), ("--worker",)], ids=["alone", "its worker lives on"])
def test_the_lock_of_a_killed_process_is_taken_over_with_a_note(tmp_path, options):
    with holder(tmp_path, *options) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        start = time.monotonic()
        with RunLock(tmp_path) as held:
            assert time.monotonic() - start < 1
            assert len(held.notes) == 1
            assert f"process {process.pid} on" in held.notes[0]
        with RunLock(tmp_path) as held:
            assert held.notes == []


def test_the_lock_is_released_after_an_exception(tmp_path):
    with pytest.raises(KeyError), RunLock(tmp_path):
        raise KeyError
    with RunLock(tmp_path) as held:
        assert held.notes == []
    assert not any(thread.name == "run lock" for thread in threading.enumerate())


def test_a_lock_can_be_used_again(tmp_path):
    held = RunLock(tmp_path)
    for _ in range(2):
        with held, pytest.raises(RunInUse):
            RunLock(tmp_path).__enter__()


def test_a_lock_from_before_the_host_was_started_anew_is_taken_over_at_once(tmp_path):
    leave(tmp_path, host=os.uname().nodename, pid=os.getpid())
    with RunLock(tmp_path) as held:
        assert "process" in held.notes[0]


def test_a_renamed_host_still_knows_its_own_lock(tmp_path, monkeypatch):
    leave(tmp_path, boot=lock._here()["boot"], pid=1)
    with RunLock(tmp_path) as held:
        assert "on elsewhere" in held.notes[0]


def test_a_silent_holder_on_another_host_is_given_time_and_then_taken_over(tmp_path):
    leave(tmp_path)
    start = time.monotonic()
    with RunLock(tmp_path, beat=0.1, patience=0.3) as held:
        assert time.monotonic() - start >= 0.3
        assert "process 4242 on elsewhere (started 2030-01-01" in held.notes[0]


def test_a_counting_holder_on_another_host_is_alive_whatever_its_clock_says(tmp_path):
    leave(tmp_path)
    timer = threading.Timer(0.2, leave, [tmp_path], {"count": 4})
    timer.start()
    with pytest.raises(RunInUse, match="process 4242 on elsewhere"):
        RunLock(tmp_path, beat=0.1, patience=5).__enter__()
    timer.join()


def test_the_holder_counts(tmp_path):
    with RunLock(tmp_path, beat=0.02):
        counts = set()
        end = time.monotonic() + 5
        while len(counts) < 3 and time.monotonic() < end:
            counts.add(json.loads((tmp_path / NAME).read_text())["count"])
    assert len(counts) == 3


def test_without_file_locks_a_living_process_of_this_host_is_refused(tmp_path, without_file_locks):
    leave(tmp_path, **lock._here(), pid=os.getppid())
    with pytest.raises(RunInUse):
        RunLock(tmp_path, beat=0.01).__enter__()


def test_without_file_locks_a_dead_process_of_this_host_is_taken_over(tmp_path, without_file_locks):
    process = subprocess.Popen(["true"])
    process.wait()
    leave(tmp_path, **lock._here(), pid=process.pid)
    with RunLock(tmp_path, beat=0.01) as held:
        assert f"process {process.pid}" in held.notes[0]


def test_of_two_that_take_over_together_without_file_locks_one_gives_way(tmp_path, without_file_locks, monkeypatch):
    def meanwhile(seconds):
        leave(tmp_path, pid=77)

    monkeypatch.setattr(lock.time, "sleep", meanwhile)
    with pytest.raises(RunInUse, match="process 77"):
        RunLock(tmp_path).__enter__()


def test_a_run_that_lost_its_lock_notices_before_it_writes_and_leaves_the_new_one_alone(tmp_path):
    with RunLock(tmp_path) as held:
        leave(tmp_path, pid=99)
        with pytest.raises(RunInUse, match="process 99"):
            held.check()
    assert json.loads((tmp_path / NAME).read_text())["pid"] == 99


@pytest.mark.parametrize("left", [b"", b"{", b"[]", b"null", b"\xff\x00", b" " * 2000])
def test_a_lock_file_that_makes_no_sense_stops_nobody(tmp_path, left):
    (tmp_path / NAME).write_bytes(left)
    with RunLock(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("code", [EROFS, EACCES])
@pytest.mark.parametrize("call", ["open", "mkdir"])
def test_a_folder_that_cannot_be_written_is_refused_within_a_second(tmp_path, monkeypatch, code, call):
    def refuse(*arguments, **options):
        raise OSError(code, os.strerror(code))

    start = time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(
            PermissionError, match=rf"run folder .*new cannot be written \({os.strerror(code)}\); choose"
        ):
            RunLock(tmp_path / "new").__enter__()
    assert time.monotonic() - start < 1


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "a").write_text("notes")
    with pytest.raises(NotADirectoryError, match="is a file and cannot hold a run"):
        RunLock(tmp_path / "a").__enter__()


def test_a_folder_deleted_under_the_run_does_not_hide_the_error_that_ended_it(tmp_path):
    def run(folder):
        with RunLock(folder, beat=0.01):
            (folder / NAME).unlink()
            folder.rmdir()
            time.sleep(0.05)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "a")


def test_a_refused_start_keeps_no_file_open(tmp_path):
    with RunLock(tmp_path):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            with pytest.raises(RunInUse):
                RunLock(tmp_path).__enter__()
        assert len(os.listdir("/proc/self/fd")) == before


def test_the_lock_is_one_that_other_programs_can_ask_for(tmp_path):
    with RunLock(tmp_path), open(tmp_path / NAME) as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
