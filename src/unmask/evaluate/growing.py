"""Tables that grow row by row, in memory up to a bound and beyond it in temporary files."""

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

MEMORY = 1 << 32  # bytes that the tables of one part of a data set may take in memory


class GrowingTables:
    """Several float32 tables, to which rows are appended together; `finish` gives them as tensors.

    memory: bytes that they may take together. A longer set of tables lies in files without a name, in the system's
    temporary folder (TMPDIR), mapped into memory; they vanish with the tensors, or with the process.
    appends: how often rows will be appended, if that is known: then too small a disk is noticed at once.
    """

    def __init__(self, memory: int = MEMORY, appends: int | None = None):
        self.memory = memory
        self.appends = appends
        self.rows = 0
        self._parts: list[list[Tensor]] = []
        self._open = ExitStack()
        self._files: list = []
        self._bytes = self._count = 0
        self._widths: list[int] = []

    def append(self, blocks: Sequence[Float[Tensor, "b _"]]) -> None:
        """Adds rows to every table. Raises OSError where they fit neither into memory nor onto the disk."""
        blocks = [block.detach().float().cpu() for block in blocks]
        fresh = sum(block.nbytes for block in blocks)
        self.rows += len(blocks[0])
        self._bytes += fresh
        self._count += 1
        if not self._files and self._bytes > self.memory:
            total = self._bytes * max(self.appends or 0, self._count) // self._count
            _check_disk(total, self.memory)
            for _ in blocks:
                self._files.append(self._open.enter_context(tempfile.TemporaryFile()))  # noqa: SIM115  # until `finish`
            for part in self._parts:
                self._write(part)
            self._parts = []
        if self._files:
            _check_disk(fresh, self.memory)
            self._write(blocks)
        else:
            self._parts.append(blocks)
        self._widths = [block.shape[1] for block in blocks]

    def _write(self, blocks: list[Tensor]) -> None:
        for file, block in zip(self._files, blocks, strict=True):
            file.write(np.ascontiguousarray(block.numpy()).data)

    def finish(self) -> list[Tensor]:
        """The tables; nothing can be appended afterwards."""
        if self._files:
            with self._open:  # what is mapped stays after the file is closed
                return [self._mapped(file, width) for file, width in zip(self._files, self._widths, strict=True)]
        columns = [list(column) for column in zip(*self._parts, strict=True)]
        self._parts = []
        tables = []
        while columns:  # one table at a time, so that the parts of one table only are held twice
            tables.append(torch.cat(columns.pop(0)))
        return tables

    def _mapped(self, file, width: int) -> Tensor:
        file.flush()
        return torch.from_numpy(np.memmap(file, np.float32, mode="c", shape=(self.rows, width)))


def _check_disk(needed: int, memory: int) -> None:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"the features need {needed / 1e9:.1f} GB, more than the {memory / 1e9:.1f} GB that they may take in "
            f"memory, and {folder} has {free / 1e9:.1f} GB free; let TMPDIR name a folder with room, or extract "
            "fewer blocks with `blocks`"
        )
