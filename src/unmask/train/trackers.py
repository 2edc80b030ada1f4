"""Where a run writes its numbers: JSON lines and TensorBoard always, other trackers when asked for.

RUN/log.jsonl holds what is equal, line for line, in a resumed and in an uninterrupted run; RUN/speed.jsonl what
depends on the machine; RUN/notes.jsonl what happened, with the time, and is never cut.
"""

import importlib.util
import json
import math
import os
import re
import secrets
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from PIL import Image

from unmask.train.checkpoint import write_atomically

LOG, SPEED, NOTES = "log.jsonl", "speed.jsonl", "notes.jsonl"
NAMED = (
    r"(?:api|auth|access|bearer|hf|hub|id|refresh|session)[_-]?token|(?:api|secret|private|access)[_-]?key"
    r"|secret|passw(?:or)?d|passphrase|credentials?|authorization"
)
SECRET_NAME = re.compile(rf"^token$|(?:^|[_\-.])(?:{NAMED})$", re.IGNORECASE)  # not class_token, not mask_token
SECRET_VARIABLE = re.compile(r"TOKEN|SECRET|PASSW|API_?KEY|CREDENTIAL", re.IGNORECASE)
SHORTEST = 12  # a secret environment variable with fewer letters may be an ordinary word
SECRET_TEXT = (
    (re.compile(r"(://)[^/\s@]+(?=@)"), r"\1***"),  # https://user:password@host
    (re.compile(r"([?&][\w.\-]*(?:token|key|secret|sig|signature|password)=)[^&\s\"']+", re.IGNORECASE), r"\1***"),
    (re.compile(r"(\bBearer\s+)\S+", re.IGNORECASE), r"\1***"),
    (re.compile(rf"((?:{NAMED})[\"']?\s*[=:]\s*[\"']?)(?!Bearer)[^\s,;&\"']+", re.IGNORECASE), r"\1***"),
    (re.compile(r"\b(?:(?:hf|gh[pousr])_[A-Za-z0-9]{30,}|github_pat_\w{30,}|sk-[\w\-]{20,}|AKIA[A-Z0-9]{16})"), "***"),
)


def redact(value: Any) -> Any:
    """The same JSON value without passwords, tokens and keys: in URLs, under such a name, or of the environment."""
    if isinstance(value, Mapping):
        return {
            name: "***" if SECRET_NAME.search(str(name)) and isinstance(entry, str) else redact(entry)
            for name, entry in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(entry) for entry in value]
    if isinstance(value, str):
        for pattern, instead in SECRET_TEXT:
            value = pattern.sub(instead, value)
        for name, secret in os.environ.items():
            if len(secret) >= SHORTEST and SECRET_VARIABLE.search(name):
                value = value.replace(secret, "***")
    return value


class Tracker(Protocol):
    """What a tracker can do. Made by (run folder, project, config); `pixels` are [h w c] of 0 to 255."""

    def scalars(self, step: int, values: dict[str, float]) -> None: ...
    def image(self, step: int, name: str, pixels: np.ndarray) -> None: ...
    def rewind(self, step: int) -> None: ...
    def close(self) -> None: ...


class Logs:
    """The logs of the run in `folder`; call `rewind(step)` first when it goes on from a checkpoint.

    project: what the run is filed under in trackers that have projects. config: shown there, without secrets.
    trackers: any of TRACKERS. One that fails in mid-run is dropped with a note; the training goes on.
    """

    def __init__(
        self,
        folder: Path,
        project: str = "unmask",
        trackers: Sequence[str] = ("tensorboard",),
        config: Mapping[str, Any] | None = None,
    ):
        for name in trackers:
            _check_tracker(name)
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = redact(dict(config or {}))
        wanted = dict.fromkeys(trackers)
        self._trackers: dict[str, Tracker] = {name: TRACKERS[name](self.folder, project, settings) for name in wanted}
        self._files = {name: _open(self.folder / name, math.inf) for name in (LOG, SPEED, NOTES)}

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """One row of log.jsonl: numbers (tensors of one value too), short texts, None for what is not known.

        Trackers get the numbers, called train/loss where `kind` is "train". NaN and infinities are written as the
        texts "NaN", "Infinity" and "-Infinity", which float() reads back: strict JSON has no other way.
        """
        self._row(LOG, step, values)

    def speeds(self, step: int, values: Mapping[str, Any]) -> None:
        """One row of speed.jsonl: what differs from machine to machine, such as images per second."""
        self._row(SPEED, step, values)

    def note(self, step: int, text: str) -> None:
        """One row of notes.jsonl: something that happened, and when."""
        self._append(NOTES, {"step": step, "time": datetime.now(UTC).isoformat(timespec="seconds"), "note": text})

    def image(self, step: int, name: str, picture: np.ndarray | Path | str) -> None:
        """Shows a picture in every tracker: a file, or pixels [h w] or [h w c] of whole numbers 0 to 255."""
        if isinstance(picture, str | Path):
            with Image.open(picture) as file:
                picture = np.asarray(file.convert("RGB"))
        if picture.dtype != np.uint8:
            raise TypeError(f"picture {name!r} has values of {picture.dtype}; give whole numbers 0 to 255 (uint8)")
        pixels = np.atleast_3d(picture)
        self._tell("image", step, name, pixels.repeat(3, -1) if pixels.shape[-1] == 1 else pixels)

    def rewind(self, step: int) -> None:
        """Takes back every row after `step`, as if the run had stopped there."""
        for name in (LOG, SPEED):
            self._files[name].close()
            self._files[name] = _open(self.folder / name, step)
        self._tell("rewind", step)

    def close(self) -> None:
        """Writes out what is waiting; nothing can be logged afterwards."""
        self._tell("close")
        self._trackers.clear()
        for file in self._files.values():
            file.close()

    def __enter__(self) -> "Logs":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _row(self, file: str, step: int, values: Mapping[str, Any]) -> None:
        row = {name: _plain(name, value) for name, value in values.items()}
        self._append(file, {"step": step, **row})
        head = f"{row['kind']}/" if "kind" in row else ""
        self._tell("scalars", step, {head + k: float(v) for k, v in row.items() if isinstance(v, int | float)})

    def _append(self, file: str, row: dict[str, Any]) -> None:
        strict = {name: _readable(value) for name, value in redact(row).items()}
        self._files[file].write(json.dumps(strict, allow_nan=False).encode() + b"\n")
        self._files[file].flush()

    def _tell(self, action: str, *values) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                getattr(tracker, action)(*values)
            except Exception as error:
                del self._trackers[name]
                text = redact(f"{name} failed and gets no more; {LOG} goes on ({type(error).__name__}: {error})")
                warnings.warn(text, RuntimeWarning, stacklevel=2)
                self.note(values[0] if values else -1, text)


class TensorBoard:
    """Event files in RUN/tensorboard; a resumed run hides the steps that it repeats."""

    def __init__(self, folder: Path, project: str, config: dict[str, Any]):
        self.folder = folder / "tensorboard"
        self._first: int | None = None
        self._writer: Any = None

    def scalars(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._open().add_scalar(name, value, step)

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._open().add_image(name, pixels, step, dataformats="HWC")

    def rewind(self, step: int) -> None:
        self.close()
        self._first = step + 1

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self):
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder), purge_step=self._first)
        return self._writer


class WandB:
    """Weights & Biases. Rows are placed by their own step, so that what a resumed run repeats stays in place."""

    def __init__(self, folder: Path, project: str, config: dict[str, Any]):
        import wandb

        name, identity = folder.resolve().name, _remember(folder, "wandb", lambda: secrets.token_hex(8))
        self._image = wandb.Image
        self._run = wandb.init(project=project, name=name, id=identity, resume="allow", dir=str(folder), config=config)
        self._run.define_metric("*", step_metric="step")

    def scalars(self, step: int, values: dict[str, float]) -> None:
        self._run.log({**values, "step": step})

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._run.log({name: self._image(pixels), "step": step})

    def rewind(self, step: int) -> None:
        """Nothing to take back: see the class."""

    def close(self) -> None:
        self._run.finish()


class Trackio:
    """Trackio, which keeps its runs on this machine unless its own settings say otherwise."""

    def __init__(self, folder: Path, project: str, config: dict[str, Any]):
        import trackio

        name = _remember(folder, "trackio", lambda: f"{folder.resolve().name}-{secrets.token_hex(3)}")
        self._image = trackio.Image
        self._run = trackio.init(project=project, name=name, resume="allow", config=config, embed=False)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        self._run.log(values, step=step)

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._run.log({name: self._image(pixels)}, step=step)

    def rewind(self, step: int) -> None:
        """Nothing to take back: repeated rows carry the same step."""

    def close(self) -> None:
        self._run.finish()


class MLflow:
    """MLflow, at the place that MLFLOW_TRACKING_URI names."""

    def __init__(self, folder: Path, project: str, config: dict[str, Any]):
        from mlflow import MlflowClient, MlflowException
        from mlflow.entities import Metric

        try:
            self._client = MlflowClient()
            self._run = _remember(folder, "mlflow", lambda: self._start(project, folder.resolve().name))
            self._client.log_dict(self._run, config, "config.json")
        except MlflowException as error:
            raise ValueError(f"mlflow cannot be used; does MLFLOW_TRACKING_URI name its server? ({error})") from error
        self._metric = Metric

    def _start(self, project: str, name: str) -> str:
        found = self._client.get_experiment_by_name(project)
        experiment = found.experiment_id if found else self._client.create_experiment(project)
        return self._client.create_run(experiment, run_name=name).info.run_id

    def scalars(self, step: int, values: dict[str, float]) -> None:
        now = int(time.time() * 1000)
        metrics = [self._metric(re.sub(r"[^\w\-. /]", "_", name), value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics)

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._client.log_image(self._run, pixels, key=name, step=step)

    def rewind(self, step: int) -> None:
        self._client.update_run(self._run, status="RUNNING")

    def close(self) -> None:
        self._client.set_terminated(self._run)


TRACKERS: dict[str, Callable[[Path, str, dict[str, Any]], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WandB,
    "mlflow": MLflow,
    "trackio": Trackio,
}


def _check_tracker(name: str) -> None:
    if name not in TRACKERS:
        raise ValueError(f"tracker {name!r} is unknown; choose from {', '.join(TRACKERS)}")
    if importlib.util.find_spec(name) is None:
        extra = "unmask" if name == "tensorboard" else f"unmask[{name}]"
        raise ModuleNotFoundError(f"tracker {name!r} is not installed; run: pip install '{extra}'", name=name)


def _remember(folder: Path, tracker: str, draw: Callable[[], str]) -> str:
    """The run's name in a tracker: drawn once, then read from RUN/trackers.json, so that a resumed run finds it."""
    path = folder / "trackers.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    if tracker not in known:
        known[tracker] = draw()
        write_atomically(path, [json.dumps(known, indent=1).encode()])
    return known[tracker]


def _open(path: Path, last: float) -> BinaryIO:
    """The file, ready for the next row, without rows after step `last` and without one that a crash cut off."""
    rows = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    kept = [row for row in rows if _stays(row, last)]
    if len(kept) < len(rows):
        write_atomically(path, kept)
    return open(path, "ab")


def _stays(row: bytes, last: float) -> bool:
    try:
        return row.endswith(b"\n") and json.loads(row)["step"] <= last
    except (ValueError, KeyError, TypeError):
        return False


def _plain(name: str, value: Any) -> float | int | str | None:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if getattr(value, "ndim", None) is not None and math.prod(value.shape) == 1:
        return value.item()
    raise TypeError(f"log value {name!r} is a {type(value).__name__}; give one number or a short text")


def _readable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
