"""A run that is killed and resumed, or divided over processes and workers, is the run that nothing happened to."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from small_run import SMALL, make_pictures, pretrain, unmask, unmask_as_rank, unmask_quietly, without_drawing  # noqa: F401
from unmask.data.stream import sample_at
from unmask.train.checkpoint import newest, state_hash
from unmask.train.stopping import REQUEUE

pytestmark = pytest.mark.usefixtures("without_drawing")
SELF_GUIDED = ["--method", "self_guided_mae", "--set", "layer=-1", "--set", "start_fraction=0.3"]
EVERY = ["--log-every", "1", "--save-every", "3", "--monitor-every", "10"]
FULL = ["--precision", "fp32"]  # half precision rounds the sums of other divisions differently
PATIENCE = 120  # seconds that a shared machine may need for one step


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data"), count=60)


@pytest.fixture(scope="module")
def processes():
    """Starts processes that have already imported everything, each a new one that can be killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["unmask.api"])
    return context


def start(processes, log: Path, *arguments):
    process = processes.Process(target=unmask_quietly, args=[str(a) for a in (log, *arguments)])
    process.start()
    return process


def rows(run: Path, kind: str = "train") -> list[dict]:
    path = run / "log.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


def wait_for_step(run: Path, step: int, process) -> None:
    """Returns when the run has logged the step, or the process has ended."""
    until = time.monotonic() + PATIENCE
    while process.is_alive() and not any(row["step"] >= step for row in rows(run)):
        assert time.monotonic() < until, f"step {step} was not reached"
        time.sleep(0.002)


def bits(run: Path) -> dict[str, str]:
    """One hash for every part of the state in the newest checkpoint."""
    checkpoint = newest(run)
    return {name: state_hash(checkpoint.tensors(name)) for name in checkpoint.sections}


def assert_equal_runs(one: Path, other: Path) -> None:
    assert bits(one) == bits(other)
    assert (one / "log.jsonl").read_text() == (other / "log.jsonl").read_text()
    assert newest(one).step == newest(other).step
    left = [path.name for path in other.rglob("*") if path.suffix in (".tmp", ".gone", ".old")]
    assert not left


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    [
        pytest.param(["--ema", "0.9"], id="mae", marks=pytest.mark.works("mae")),
        pytest.param([*SELF_GUIDED, "--set", "refresh=image"], id="guided", marks=pytest.mark.works("self_guided_mae")),
    ],
)
def test_a_run_killed_at_any_time_ends_with_the_bits_of_an_uninterrupted_one(tmp_path, pictures, processes, method):
    steps = 30
    options = [*method, *EVERY, "--steps", steps, "--seed", 3]
    assert pretrain(pictures, tmp_path / "whole", *options) == 0
    run = tmp_path / "killed"
    dice = random.Random(5)
    for attempt, step in enumerate((0, 2, 13, 24)):
        again = ["resume", run, "--quiet"] if (run / "config.json").exists() else None
        process = start(
            processes, tmp_path / "said.txt", *(again or ["pretrain", pictures, "--out", run, *SMALL, *options])
        )
        if attempt:
            wait_for_step(run, step, process)
        time.sleep(dice.uniform(0, 0.06))  # about one step with everything that is written after it
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode in (-signal.SIGKILL, 0)
        assert not (run / "config.json").exists() or newest_or_nothing(run) >= max(0, step - 3)
    assert unmask("resume", run, "--quiet") == 0
    assert_equal_runs(tmp_path / "whole", run)


def newest_or_nothing(run: Path) -> int:
    try:
        return newest(run).step
    except FileNotFoundError:
        return 0


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in rows(run)]


def together(processes, folder: Path, *arguments, world: int = 2) -> list[list[list[int]]]:
    """Trains with several processes; returns the samples of every micro-batch of every process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(exist_ok=True)
    words = [str(a) for a in arguments]
    started = [
        processes.Process(target=unmask_as_rank, args=(rank, world, port, str(folder / "order"), *words))
        for rank in range(world)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(PATIENCE)
    said = [(folder / f"order-{rank}.txt").read_text() for rank in range(world)]
    assert [process.exitcode for process in started] == [0] * world, "\n".join(said)
    return [[json.loads(line) for line in (folder / f"order-{rank}").read_text().splitlines()] for rank in range(world)]


@pytest.mark.parametrize(
    ("method", "accumulation"),
    [
        pytest.param([], 1, id="mae"),
        pytest.param(SELF_GUIDED, 2, id="guided with accumulation", marks=pytest.mark.works("self_guided_mae")),
        pytest.param([*SELF_GUIDED, "--set", "refresh=image"], 1, id="guided from the cache"),
    ],
)
def test_two_processes_give_the_order_and_the_losses_of_one(tmp_path, pictures, processes, method, accumulation):
    options = [*method, *EVERY, *FULL, "--steps", 8, "--lr", 0.01, "--device", "cpu"]
    assert pretrain(pictures, tmp_path / "one", *options) == 0
    run = tmp_path / "two"
    found = together(
        processes, tmp_path, "pretrain", pictures, "--out", run, *SMALL, *options, "--accumulation", accumulation
    )
    in_order = [i for parts in zip(*found, strict=True) for part in parts for i in part]
    assert in_order == [sample_at(0, position, 57) for position in range(8 * 16)]
    assert losses(run) == pytest.approx(losses(tmp_path / "one"), abs=1e-5)  # sums are ordered differently
    assert losses(run)[0] != losses(run)[1]


@pytest.mark.slow
def test_the_launcher_of_torch_gives_the_losses_of_one_process(tmp_path, pictures):
    options = [*EVERY, *FULL, "--steps", 6, "--lr", 0.01, "--device", "cpu"]
    assert pretrain(pictures, tmp_path / "one", *options) == 0
    words = ["pretrain", pictures, "--out", tmp_path / "two", *SMALL, *options]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
    done = subprocess.run(
        [*launcher, "unmask.cli", *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)  # sums are ordered differently


def test_workers_change_nothing(tmp_path, pictures):
    options = [*EVERY, "--steps", 6]
    for workers in (0, 2):
        assert pretrain(pictures, tmp_path / str(workers), *options, "--workers", workers) == 0
    assert bits(tmp_path / "0") == bits(tmp_path / "2")
    assert (tmp_path / "0" / "log.jsonl").read_text() == (tmp_path / "2" / "log.jsonl").read_text()


def test_accumulation_changes_the_losses_by_rounding_only(tmp_path, pictures):
    for parts in (1, 4):
        assert pretrain(pictures, tmp_path / str(parts), *EVERY, *FULL, "--steps", 6, "--accumulation", parts) == 0
    assert losses(tmp_path / "1") == pytest.approx(losses(tmp_path / "4"), abs=1e-5)


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGUSR1, "SIGUSR1")])
def test_a_run_that_is_asked_to_stop_says_so_by_its_status_and_goes_on_later(
    tmp_path, pictures, processes, number, name
):
    options = [*EVERY, "--steps", 25]
    assert pretrain(pictures, tmp_path / "whole", *options) == 0
    run = tmp_path / "stopped"
    process = start(processes, tmp_path / "said.txt", "pretrain", pictures, "--out", run, *SMALL, *options)
    wait_for_step(run, 4, process)
    os.kill(process.pid, number)
    process.join(PATIENCE)
    assert process.exitcode == REQUEUE == 75
    assert newest(run).step == rows(run)[-1]["step"] < 25  # stopped at the end of a step, which is saved
    assert unmask("resume", run, "--quiet") == 0
    assert_equal_runs(tmp_path / "whole", run)


def test_resuming_a_complete_run_says_so_and_changes_nothing(tmp_path, pictures, capsys):
    assert pretrain(pictures, tmp_path / "run", *EVERY, "--steps", 3) == 0
    before = bits(tmp_path / "run")
    assert unmask("resume", tmp_path / "run", "--quiet") == 0
    assert "is complete: step 3 of 3" in capsys.readouterr().out
    assert bits(tmp_path / "run") == before


def test_a_run_of_two_processes_resumes_with_the_same_bits(tmp_path, pictures, processes):
    options = [
        *SELF_GUIDED,
        "--set",
        "refresh=image",
        "--ema",
        0.9,
        *EVERY,
        "--lr",
        0.01,
        "--device",
        "cpu",
        "--steps",
        7,
    ]
    run = tmp_path / "two"
    together(processes, tmp_path, "pretrain", pictures, "--out", run, *SMALL, *options)
    before, log = bits(run), (run / "log.jsonl").read_text()
    shutil.rmtree(run / "checkpoints" / "step-00000007")
    assert newest(run).step == 6
    together(processes, tmp_path, "resume", run, "--quiet", "--device", "cpu")
    assert bits(run) == before
    assert (run / "log.jsonl").read_text() == log
