"""One run folder, one living process: the lock that a run holds while it writes.

The system's own file lock (flock) decides wherever it can: it ends with its process, however that ends. Some
network file systems lock within one host only, or not at all, so the file also says who holds it and carries a
count that the holder raises every few seconds: a holder on another host is alive while its count moves. No clock
is ever compared with another clock.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from datetime import UTC, datetime
from errno import EACCES, EAGAIN, EPERM, EROFS
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

NAME = ".lock"
BEAT = 5.0  # seconds between two counts
PATIENCE = 15.0  # seconds without a new count after which a holder on another host is taken for dead
ROOM = 1024  # bytes of the entry, always the same, so that one write replaces it


class RunInUse(ValueError):
    """Another living process holds the run folder."""


class RunLock:
    """`with RunLock(folder) as lock:` makes the folder if need be and holds it, or raises RunInUse at once.

    A lock whose process is gone is taken over; `notes` says so, for the log. Where the holder was on another host
    and the file system may not tell, its count is watched for `patience` seconds first.
    Raises PermissionError when the folder cannot be written.
    """

    def __init__(self, folder: Path, beat: float = BEAT, patience: float = PATIENCE):
        self.folder = Path(folder)
        self.path = self.folder / NAME
        self.beat = beat
        self.patience = patience
        self.notes: list[str] = []
        self._file: int | None = None
        self._entry: dict = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "RunLock":
        self._file = _open(self.path)
        try:
            alone = self._take(self._file)
            self._entry = {"token": uuid.uuid4().hex, **_here(), "pid": os.getpid(), "started": _now(), "count": 0}
            _write(self._file, self._entry)
            if not alone:
                time.sleep(min(1.0, self.beat))  # of two that take over together, the last to write has the lock
            self.check()
        except BaseException:
            self._close()
            raise
        os.register_at_fork(after_in_child=self._close)  # a worker that outlives the run must not hold its lock
        self._stop.clear()
        self._thread = threading.Thread(target=self._count, args=(self._file,), name="run lock", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        if self._file is None or self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(OSError, RunInUse):
            self.check()
            _write(self._file, {**self._entry, "released": True})
        self._close()

    def check(self) -> None:
        """Raises RunInUse if another process has taken the lock over since (someone deleted it, this host hung)."""
        entry = _read(self.path)
        if entry and entry.get("token") != self._entry["token"]:
            raise RunInUse(_refusal(self.folder, entry))

    def _take(self, file: int) -> bool:
        """Gets the file lock or raises RunInUse; says whether the file system has file locks at all."""
        alone = True
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except OSError as error:
            if error.errno in (EAGAIN, EACCES):
                raise RunInUse(_refusal(self.folder, _read(self.path))) from None
            alone = False
        entry = _read(self.path)
        if not entry or entry.get("released"):
            return alone
        if self._lives(entry, alone):
            raise RunInUse(_refusal(self.folder, entry))
        self.notes.append(f"took over the run folder from {_name(entry)}, which ended without releasing it")
        return alone

    def _lives(self, entry: dict, alone: bool) -> bool:
        """Whether the process that wrote the entry may still run, although no file lock stands in the way."""
        here = _here()
        if here["boot"] and entry.get("boot") == here["boot"]:
            return not alone and _runs(entry.get("pid"))
        if entry.get("host") == here["host"]:
            return not here["boot"] and not alone and _runs(entry.get("pid"))  # else started anew since
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            time.sleep(min(self.beat, self.patience) / 4)
            now = _read(self.path) or entry
            if now != entry:
                return not now.get("released")
        return False

    def _count(self, file: int) -> None:
        while not self._stop.wait(self.beat):
            try:
                self.check()
                self._entry["count"] += 1
                _write(file, self._entry)
            except RunInUse:
                return  # the run hears of it at its own next check
            except OSError:
                continue  # a disk that is away for a while

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _open(path: Path) -> int:
    folder = path.parent
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file and cannot hold a run; choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in (EACCES, EPERM, EROFS):
            reason = os.strerror(error.errno)
            raise PermissionError(f"run folder {folder} cannot be written ({reason}); choose another") from error
        raise


def _read(path: Path) -> dict | None:
    """The entry as the file system has it now; {} while it makes no sense, None when there is none."""
    try:
        text = path.read_bytes()  # opened anew: network file systems look at the server only then
        entry = json.loads(text) if text.strip() else None
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return entry if entry is None or isinstance(entry, dict) else {}


def _write(file: int, entry: dict) -> None:
    os.pwrite(file, json.dumps(entry).encode().ljust(ROOM - 1) + b"\n", 0)
    os.fsync(file)


def _here() -> dict[str, str]:
    """The host's name, and the number that the system draws at every start, "" where it draws none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return {"host": socket.gethostname(), "boot": boot}


def _runs(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _name(entry: dict | None) -> str:
    if not entry:
        return "another process"
    return f"process {entry.get('pid')} on {entry.get('host')} (started {entry.get('started')})"


def _refusal(folder: Path, entry: dict | None) -> str:
    return f"run folder {folder} is in use by {_name(entry)}; wait for it, stop it, or choose another folder"
