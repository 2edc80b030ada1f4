"""What all proofs share: arms that are trained and measured once, cached, and claims about their numbers."""

import hashlib
import json
import multiprocessing
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from scipy.special import stdtrit

from unmask.app.catalogue import complete, source_hash
from unmask.app.measuring import evaluate
from unmask.app.modality import kind_of, modality_of
from unmask.app.runs import versions, write_json
from unmask.app.training import divide, pretrain, resume
from unmask.train.engine import native_half

RUN, NUMBERS, ARMS = "run", "numbers", "arms"
CONFIDENCE = 0.95  # at which a claim holds


@dataclass(frozen=True)
class Arm:
    """One training: a method, its settings and its recipe. Equal arms of different proofs are run once.

    epochs=0 is the untrained network. mask: what is hidden instead of the method's own choice. An arm as a setting is
    an earlier stage: its run is what the setting names.
    """

    name: str
    method: str
    settings: dict[str, Any]
    epochs: float
    lr: float
    batch: int
    warmup: float
    mask: str | None = None

    def key(self, data: str, limit: int, test: int, seed: int) -> str:
        """What identifies its result: everything that can change it, the method's source included."""
        facts = {**asdict(self), "data": data, "limit": limit, "test": test, "seed": seed}
        stages = {k: v.key(data, limit, test, seed) for k, v in self.settings.items() if isinstance(v, Arm)}
        facts["settings"] = {**self.settings, **stages}
        facts |= {"source": source_hash(self.method), "torch": torch.__version__}
        facts.pop("name")
        if self.mask is None:
            facts.pop("mask")  # arms from before there were masks keep their names
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:20]


@dataclass
class Claim:
    """A sentence that the numbers support or do not."""

    claim: str
    holds: bool
    numbers: dict[str, float]


@dataclass
class Laboratory:
    """Where arms are trained: the data, how many pictures of it, where results are kept, and how.

    limit: training pictures. test: pictures of each part for the probes. cache: folder of the runs.
    arms: folder of what was measured, one small file per arm and seed; it can be kept and shared without the runs.
    pixels: probe raw pixels as well. jobs: arms trained at the same time, each in a process with one thread.
    method: one that works on data of this kind.
    """

    data: Path
    limit: int
    test: int
    cache: Path
    arms: Path
    device: str = "auto"
    say: Callable[[str], None] = print
    pixels: bool = True
    jobs: int = 1
    method: str = "mae"
    fingerprint: str = field(init=False)
    count: int = field(init=False)  # training pictures there are, of at most `limit`

    def __post_init__(self):
        kind = modality_of(self.method, kind_of(self.method, self.data))
        source = kind.open_data(self.data, {}, complete(self.method, {}))
        training, _ = divide(source, None, self.limit)
        self.fingerprint, self.count = training.fingerprint(), len(training)

    def key(self, arm: Arm, seed: int) -> str:
        return arm.key(self.fingerprint, self.limit, self.test, seed)

    def folder(self, arm: Arm, seed: int) -> Path:
        """The run folder of an arm."""
        return self.cache / self.key(arm, seed) / RUN

    def run(self, arms: Sequence[Arm], seeds: Sequence[int]) -> dict[str, list[dict[str, float]]]:
        """The numbers of every arm for every seed."""
        self._together(self.measure, arms, seeds)
        return {arm.name: [self.measure(arm, seed) for seed in seeds] for arm in arms}

    def train(self, arms: Sequence[Arm], seeds: Sequence[int], known: str | None = None) -> None:
        """Trains every arm for every seed, for proofs that measure their own numbers.

        known: arms of which this is noted already are left alone.
        """
        self._together(partial(self._train, known), arms, seeds)

    def _train(self, known: str | None, arm: Arm, seed: int) -> None:
        path = self.arms / f"{self.key(arm, seed)}.json"
        if known is None or not path.is_file() or known not in json.loads(path.read_text()):
            self.trained(arm, seed)

    def _together(self, work: Callable[[Arm, int], Any], arms: Sequence[Arm], seeds: Sequence[int]) -> None:
        """Work on every arm for every seed, `jobs` at a time."""
        pairs = [(arm, seed) for arm in arms for seed in seeds]
        if self.jobs == 1:
            for arm, seed in pairs:
                work(arm, seed)
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self.jobs, context, initializer=_begin_worker, initargs=(os.getpid(),)) as pool:
            list(pool.map(work, *zip(*pairs, strict=True)))

    def measure(self, arm: Arm, seed: int) -> dict[str, float]:
        """The arm's numbers, trained now or known already: kNN and linear test accuracy, time, loss."""
        return self.noted(arm, seed, NUMBERS, lambda: self._measure(arm, seed))

    def noted(self, arm: Arm, seed: int, what: str, compute: Callable[[], Any]) -> Any:
        """Something about an arm that is computed once and then read from its file."""
        path = self.arms / f"{self.key(arm, seed)}.json"
        known = json.loads(path.read_text()) if path.is_file() else {"arm": asdict(arm), "seed": seed}
        if what not in known:
            known[what] = compute()
            known.setdefault("machine", machine())
            self.arms.mkdir(parents=True, exist_ok=True)
            write_json(path, known)
        return known[what]

    def note(
        self, arms: Sequence[Arm], seeds: Sequence[int], what: str, compute: Callable[["Laboratory", Arm, int], Any]
    ) -> dict[str, list[Any]]:
        """`noted` about every arm and seed, `jobs` at a time. compute: a function of a module, or a partial of one."""
        work = partial(self._note, what, compute)
        self._together(work, arms, seeds)
        return {arm.name: [work(arm, seed) for seed in seeds] for arm in arms}

    def add(
        self,
        numbers: dict[str, list[dict[str, float]]],
        arms: Sequence[Arm],
        seeds: Sequence[int],
        what: str,
        compute: Callable[["Laboratory", Arm, int], Any],
        name: str | None = None,
    ) -> None:
        """`note`, into the rows of `numbers`: what is computed is numbers by name, or one of `name`, else of `what`."""
        for arm, found in self.note(arms, seeds, what, compute).items():
            for row, value in zip(numbers[arm], found, strict=True):
                row |= value if isinstance(value, dict) else {name or what: value}

    def _note(self, what: str, compute: Callable[["Laboratory", Arm, int], Any], arm: Arm, seed: int) -> Any:
        return self.noted(arm, seed, what, partial(compute, self, arm, seed))

    def trained(self, arm: Arm, seed: int) -> Path:
        """The arm's run folder, its training done; a training that was interrupted goes on where it was."""
        folder = self.folder(arm, seed)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if (folder / "config.json").exists():
            resume(folder, device=self.device, progress=False, say=lambda _: None)
            return folder
        self.say(f"{arm.name}, seed {seed}")
        stages = {name: self.trained(value, seed) for name, value in arm.settings.items() if isinstance(value, Arm)}
        pretrain(
            self.data,
            folder,
            arm.method,
            epochs=arm.epochs,
            batch=arm.batch,
            lr=arm.lr,
            warmup=arm.warmup,
            mask=arm.mask,
            seed=seed,
            limit=self.limit,
            device=self.device,
            monitor_every=10**9,
            progress=False,
            say=lambda _: None,
            **{**arm.settings, **stages},
        )
        return folder

    def _measure(self, arm: Arm, seed: int) -> dict[str, float]:
        folder = self.trained(arm, seed)
        report = evaluate(folder, probes=("knn", "linear"), device=self.device, limit=self.test, pixels=self.pixels)
        numbers = {outcome.name: outcome.test for outcome in report.outcomes}
        numbers |= {f"pixels {o.name}": o.pixels for o in report.outcomes if o.pixels is not None}
        numbers |= {"seconds": _seconds(folder)}
        numbers |= _held_out(folder)
        self.say(f"{arm.name}, seed {seed}: " + ", ".join(f"{k} {v:.3f}" for k, v in numbers.items() if v is not None))
        return numbers

    def once(self, name: str, compute: Callable[[], float]) -> float:
        """A number that is measured once and then remembered, so that arms that depend on it keep their names."""
        path = self.arms / f"{name}.json"
        if not path.is_file():
            self.arms.mkdir(parents=True, exist_ok=True)
            write_json(path, compute())
        return json.loads(path.read_text())

    def training_loss(self, arm: Arm, seed: int, since: float) -> float:
        """The mean loss on the arm's own masks after that share of its training."""
        return self.noted(arm, seed, f"loss after {since:.1%}", lambda: _training_loss(self.trained(arm, seed), since))


def _begin_worker(parent: int) -> None:
    """One thread; and an end as soon as the process is gone that asked for the work."""
    torch.set_num_threads(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _training_loss(folder: Path, since: float) -> float:
    steps = json.loads((folder / "config.json").read_text())["plan"]["steps"]
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return statistics.fmean(r["loss"] for r in rows if r["kind"] == "train" and r["step"] > since * steps)


def _seconds(folder: Path) -> float:
    """Time spent in training steps, from the speeds that were logged."""
    config = json.loads((folder / "config.json").read_text())["plan"]
    rows = [json.loads(line) for line in (folder / "speed.jsonl").read_text().splitlines()]
    steps, seconds = 0, 0.0
    for row in rows:
        seconds += (row["step"] - steps) * config["batch"] / row["samples_per_second"]
        steps = row["step"]
    return seconds


def _held_out(folder: Path) -> dict[str, float]:
    """The last held-out numbers of reconstruction under random masks."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    last = [row for row in rows if row["kind"] == "held_out"][-1]
    kept = ("loss", "explained_variance", "beats/nearest", "rankme", "feature_std")
    return {f"held-out {name}": last[name] for name in kept if isinstance(last.get(name), float)}


def machine() -> str:
    """What is computed on here, in words: CPUs that compute in half precision do other arithmetic than others."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    half = native_half(torch.device("cpu"))
    return f"{os.cpu_count()} CPU cores" + (f" with {half}" if half else "")


def summary(values: Sequence[float]) -> dict[str, float]:
    """Mean, sample standard deviation, and of how many."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "spread": spread, "count": len(values)}


def difference(arms: dict[str, list[dict[str, float]]], first: str, second: str, number: str) -> dict[str, float]:
    """`first` minus `second`, seed by seed: mean and spread."""
    pairs = zip(arms[first], arms[second], strict=True)
    return summary([a[number] - b[number] for a, b in pairs])


def clear(found: dict[str, float], least: float = 0.0) -> bool:
    """Whether a difference is above `least`, by Student's one-sided t test at a confidence of 95 %.

    One seed has no spread: its sign alone is looked at, which settles nothing.
    """
    over, count = found["mean"] - least, found["count"]
    if count < 2 or found["spread"] == 0:
        return over > 0
    return bool(over > stdtrit(count - 1, CONFIDENCE) * found["spread"] / count**0.5)


def comparisons(
    arms: dict[str, list[dict[str, float]]], probes: Sequence[str], pairs: Sequence[tuple[str, str, str]]
) -> list[Claim]:
    """For every probe and every pair of arms the claim, in words, that the first is clearly above the second."""
    claims = []
    for probe in probes:
        for first, second, words in pairs:
            gain = difference(arms, first, second, probe)
            claims.append(Claim(f"{probe}: {words}", clear(gain), gain))
    return claims


@dataclass
class Findings:
    """What a proof found. numbers: per arm, one row per seed. extra: anything else worth keeping."""

    arms: Sequence[Arm]
    seeds: Sequence[int]
    numbers: dict[str, list[dict[str, float]]]
    claims: Sequence[Claim]
    notes: Sequence[str] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    def table(self) -> dict[str, dict[str, Any]]:
        """Mean, spread and values of every number that all seeds of an arm have."""
        table: dict[str, dict[str, Any]] = {}
        for arm, rows in self.numbers.items():
            shared = [name for name in rows[0] if all(row.get(name) is not None for row in rows)]
            table[arm] = {name: {**summary(v), "values": v} for name in shared if (v := [row[name] for row in rows])}
        return table


def write_result(
    out: Path, slug: str, preset: str, laboratory: Laboratory, findings: Findings, words: str | None = None
) -> Path:
    """Writes results/<slug>.json: numbers, spread, command, data, machine kind, date.

    words: what `unmask prove` was asked for; default: the slug.
    """
    result = {
        "slug": slug,
        "preset": preset,
        "command": f"unmask prove {words or slug} --preset {preset} --seeds {len(findings.seeds)}",
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "system": platform.system(),
        "versions": versions(),
        "data": {"name": laboratory.data.name, "fingerprint": laboratory.fingerprint, "pictures": laboratory.limit},
        "seeds": list(findings.seeds),
        "arms": {arm.name: asdict(arm) for arm in findings.arms},
        "numbers": findings.table(),
        "claims": [asdict(claim) for claim in findings.claims],
        "notes": list(findings.notes),
        **findings.extra,
    }
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / f"{slug}.json", result)
    return out / f"{slug}.json"
