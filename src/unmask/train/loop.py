"""The training loop: steps over phases, logs, held-out checks, checkpoints, and a way back from everything."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from unmask.core import Batch, Context, Method
from unmask.parts.ops.schedule import warmup_cosine
from unmask.train.checkpoint import Checkpoint, save
from unmask.train.engine import Engine
from unmask.train.plan import Plan
from unmask.train.stopping import Stopped, StopRequest
from unmask.train.trackers import Logs

PATIENCE = 3  # steps in a row whose gradient may be non-finite before the run stops
LINE_EVERY = 30  # seconds between lines of progress where they go to a file
SNAPSHOTS = 8  # methods kept at logarithmically spaced steps, to look at learning afterwards

Monitor = Callable[[Method, int, float], dict[str, float]]


class Diverged(RuntimeError):
    """Gradients stayed non-finite; the last checkpoint is intact."""


@dataclass
class Run:
    """What the loop needs besides the plan: where to write, what to save, and how to look at the method.

    stream(start) gives the micro-batches from step `start` on. state: what every checkpoint carries along.
    monitor(method, step, progress) returns numbers of the held-out data; called on the main process.
    """

    folder: Path
    stream: Callable[[int], Iterable[Batch]]
    logs: Logs | None = None
    state: dict[str, Any] = field(default_factory=dict)
    monitor: Monitor | None = None
    check: Callable[[], bool] | None = None  # called every step; True stops the run on all processes
    progress: bool = True


def snapshot_steps(steps: int) -> set[int]:
    """Steps 0 and `steps`, and logarithmically spaced ones between."""
    return {0, steps} | {round(steps ** (i / (SNAPSHOTS - 1))) for i in range(1, SNAPSHOTS)} if steps else {0}


def seed_step(seed: int, step: int, process: int) -> torch.Generator:
    """Makes all randomness of a step a function of (seed, step); returns the generator of the step's noise.

    The generator is equal on all processes; dropout and the like, drawn globally, differ between them.
    """
    torch.manual_seed((seed * 1_000_003 + step) * 1_009 + process)
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def contexts_of(plan: Plan, step: int, batches: list[Batch], engine: Engine) -> list[Context]:
    """One context per micro-batch, each of which draws the same noise and takes its own rows."""
    size = plan.batch // (engine.processes * len(batches))
    return [
        Context(
            progress=step / plan.steps,
            step=step,
            epoch=step * plan.batch / plan.samples,
            generator=seed_step(plan.seed, step, engine.process),
            first=(number * engine.processes + engine.process) * size,
            total=plan.batch,
        )
        for number in range(len(batches))
    ]


def train(engine: Engine, plan: Plan, run: Run, resumed: Checkpoint | None = None) -> None:
    """Trains to the end of the plan, from the beginning or from a checkpoint.

    Raises Stopped when a signal asked to stop (the state is saved) and Diverged after PATIENCE non-finite steps.
    """
    if plan.batch % (engine.processes * plan.accumulation):
        raise ValueError(
            f"batch {plan.batch} cannot be divided by {engine.processes} processes x {plan.accumulation} accumulation;"
            " choose a multiple"
        )
    step = 0
    if resumed is not None:
        engine.restore({name: resumed.tensors(name) for name in engine.tensors()})
        step = resumed.step
    else:
        _save(engine, run, 0)
        _snapshot(engine, run, 0)
        _look(engine, plan, run, 0)
    kept = snapshot_steps(plan.steps)
    timer = Timer()
    spoiled = 0
    with StopRequest() as request, _bar(plan, step, run.progress and engine.process == 0) as bar:
        for batches in timer.loading(_steps(run.stream(step), plan.accumulation, plan.steps - step)):
            contexts = contexts_of(plan, step, batches, engine)
            lr = plan.lr * warmup_cosine(step, plan.steps, plan.warmup)
            terms, norm = engine.step(batches, contexts, lr)
            finite = torch.isfinite(torch.tensor(norm))
            spoiled = 0 if finite else spoiled + 1
            if not finite:
                _note_bad_step(run, step, batches, norm, engine)
            engine.method.after_step(contexts[-1])
            step += 1
            stop = engine.anywhere(request.asked is not None or bool(run.check and run.check()))
            if step % plan.log_every == 0 or step == plan.steps:
                _log(engine, plan, run, step, terms, norm, lr, timer, bar)
            bar.update(1)
            if step % plan.monitor_every == 0 or step == plan.steps:
                _look(engine, plan, run, step)
                timer.reset()
            if step % plan.save_every == 0 or step == plan.steps or stop:
                _save(engine, run, step)
            if step in kept:
                _snapshot(engine, run, step)
            if stop and step < plan.steps:
                raise Stopped(f"stopped by {request.asked or 'another process'} after step {step}; resume continues it")
            if spoiled >= PATIENCE:
                raise Diverged(
                    f"the gradient was not finite for {PATIENCE} steps in a row (last: step {step}); the checkpoints"
                    " are intact: lower the learning rate, set clip=1, or look at bad_steps.jsonl"
                )


def _steps(stream: Iterable[Batch], accumulation: int, steps: int) -> Iterator[list[Batch]]:
    """Groups of `accumulation` micro-batches, one group per step."""
    batches = iter(stream)
    for _ in range(steps):
        yield [next(batches) for _ in range(accumulation)]


def _save(engine: Engine, run: Run, step: int) -> None:
    sections = engine.tensors()  # gathers from all processes
    if engine.process == 0:
        save(run.folder, step, sections, {**run.state, "step": step})
    engine.accelerator.wait_for_everyone()


def _snapshot(engine: Engine, run: Run, step: int) -> None:
    """Keeps the method alone, for good."""
    weights = engine.weights()
    if engine.process == 0:
        save(run.folder / "snapshots", step, {"method": weights}, {**run.state, "step": step}, keep=10**9)


def _look(engine: Engine, plan: Plan, run: Run, step: int) -> None:
    """Logs the monitor's numbers; the training's randomness is not touched, since every step seeds its own."""
    if run.monitor is not None and run.logs is not None:
        method = engine.method
        method.eval()
        with torch.no_grad():
            numbers = run.monitor(method, step, step / plan.steps if plan.steps else 0.0)
        method.train()
        run.logs.scalars(step, {"kind": "held_out", **numbers})
    engine.accelerator.wait_for_everyone()


def _log(engine, plan: Plan, run: Run, step: int, terms, norm: float, lr: float, timer: "Timer", bar) -> None:
    numbers = {name: float(value) for name, value in terms.items()}
    numbers["loss"] = sum(numbers.values())
    numbers |= {"gradient_norm": norm, "lr": lr, "epoch": step * plan.batch / plan.samples}
    for part in engine.method.modules():
        if hasattr(part, "measures"):
            numbers |= part.measures()
    speed = timer.report(plan.batch)
    if run.logs is not None:
        run.logs.scalars(step, {"kind": "train", **numbers})
        run.logs.speeds(step, speed)
    bar.set_postfix_str(
        f"loss {numbers['loss']:.4f}, {speed['samples_per_second']:.0f}/s, loading {speed['loading_share']:.0%}"
    )


def _note_bad_step(run: Run, step: int, batches: list[Batch], norm: float, engine: Engine) -> None:
    row = {"step": step, "gradient_norm": str(norm), "process": engine.process}
    row["index"] = [i for batch in batches for i in batch["index"].tolist()] if "index" in batches[0] else []
    with (run.folder / "bad_steps.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


def _bar(plan: Plan, step: int, shown: bool):
    from tqdm import tqdm

    seconds = 0.1 if sys.stderr.isatty() else LINE_EVERY
    return tqdm(total=plan.steps, initial=step, disable=not shown, unit="step", dynamic_ncols=True, mininterval=seconds)


class Timer:
    """Divides the time of the steps into waiting for data and computing."""

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        self.started, self.waited, self.count = time.monotonic(), 0.0, 0

    def loading(self, groups: Iterator[list[Batch]]) -> Iterator[list[Batch]]:
        while True:
            before = time.monotonic()
            group = next(groups, None)
            if group is None:
                return
            self.waited += time.monotonic() - before
            self.count += 1
            yield group

    def report(self, batch: int) -> dict[str, float]:
        """Samples per second and the share of the time spent waiting for data, since the last report."""
        passed = max(time.monotonic() - self.started, 1e-9)
        numbers = {"samples_per_second": self.count * batch / passed, "loading_share": self.waited / passed}
        self.reset()
        return numbers
