"""What the tests of the verbs share: pictures made in a moment, the smallest network, the command line as a call."""

import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unmask.app.watching import Watcher
from unmask.cli import main

SIZES = {"image_size": 16, "patch_size": 4, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
NETWORK = ["--model", "16x2x2", *(word for n, v in SIZES.items() for word in ("--set", f"{n}={v}"))]
SMALL = [*NETWORK, "--batch", "16", "--quiet"]


@pytest.fixture
def without_drawing(monkeypatch):
    """Leaves out the pictures of a training, which take most of the time of a short one."""
    monkeypatch.setattr(Watcher, "_draw", lambda *_: None)


def unmask(*arguments) -> int:
    """The exit status of `unmask ARGUMENTS`."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code or 0)


def unmask_quietly(log: str, *arguments: str) -> None:
    """`unmask ARGUMENTS` as the whole of a process, which says what it has to say in a file."""
    torch.set_num_threads(1)
    Watcher._draw = lambda *_: None
    with open(log, "w") as file, redirect_stdout(file), redirect_stderr(file):
        status = unmask(*arguments)
    sys.exit(status)


def unmask_as_rank(rank: int, world: int, port: int, order: str, *arguments: str) -> None:
    """One of several processes of a training, as a launcher starts them; notes in `order` which samples it gets."""
    from unmask.data.stream import TrainingStream

    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "OMP_NUM_THREADS": "1"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_WORLD_SIZE": str(world)}
    plain = TrainingStream.__iter__

    def noted(stream):
        with open(f"{order}-{rank}", "w") as file:
            for batch in plain(stream):
                file.write(json.dumps(batch["index"].tolist()) + "\n")
                yield batch

    TrainingStream.__iter__ = noted
    unmask_quietly(f"{order}-{rank}.txt", *arguments)


def pretrain(data, out, *more) -> int:
    """The exit status of a training of the smallest network."""
    return unmask("pretrain", data, "--out", out, *SMALL, *more)


def make_pictures(folder: Path, count: int = 40, shape: tuple[int, ...] = (16, 16, 3), classes: int = 2) -> Path:
    """PNG pictures: noise on a level that is that of their class, one folder per class if there are any."""
    generator = np.random.default_rng(0)
    for i in range(count):
        level = 60 + 100 * (i % max(classes, 1))
        values = (generator.integers(0, 60, shape) + level).clip(0, 255).astype(np.uint8)
        place = folder / f"class{i % classes}" / f"{i:03d}.png" if classes else folder / f"{i:03d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(place)
    return folder
