"""A few pictures of two classes and a short run on them, made once."""

from pathlib import Path

import pytest

from small_run import make_pictures, pretrain, unmask


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


@pytest.fixture
def sentence(capsys):
    """Checks that a call is refused, and returns the one sentence that it says."""

    def check(*arguments) -> str:
        capsys.readouterr()
        assert unmask(*arguments) != 0
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("unmask: ")]
        assert len(said) == 1
        return said[0]

    return check
