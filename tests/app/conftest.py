"""A few pictures of two classes and a short run on them, made once."""

from pathlib import Path

import pytest

from small_run import make_pictures, pretrain


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory, pictures) -> Path:
    """The folder of a run of four steps; not to be changed."""
    run = tmp_path_factory.mktemp("finished") / "run"
    options = ["--steps", 4, "--monitor-every", 4, "--ema", 0.5, "--lr", 0.1, "--warmup", 0]
    assert pretrain(pictures, run, *options) == 0
    return run
