"""Stopping at a step boundary when the system asks for it."""

import os
import signal

REQUEUE = 75  # exit status of a run that was asked to stop and can be resumed


class Stopped(Exception):
    """The run was asked to stop; its checkpoint is saved and `resume` continues it."""


class StopRequest:
    """Within the block, SIGTERM, SIGINT and SIGUSR1 set `asked`; a second SIGINT ends the process at once."""

    def __init__(self):
        self.asked: str | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            try:
                self._before[number] = signal.signal(number, self._note)
            except ValueError:  # not in the main thread: the caller handles signals
                break
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, _) -> None:
        if self.asked == "SIGINT" and number == signal.SIGINT:
            os._exit(130)
        self.asked = signal.Signals(number).name
