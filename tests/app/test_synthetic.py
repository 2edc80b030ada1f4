"""The verbs on samples of equations, and what is refused."""

import json
import shutil

import pytest
from PIL import Image

from small_run import unmask, without_drawing  # noqa: F401
from small_synthetic import DATA, NETWORK, pretrain_synthetic
from unmask.app.report import write_report
from whole_run import ends_alike

works = pytest.mark.works("jepa_linear_dynamics")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run of four steps; not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert pretrain_synthetic(out, "--steps", 4, "--save-every", 2, "--monitor-every", 4) == 0
    return out


@works
@pytest.mark.usefixtures("without_drawing")
def test_a_run_taken_up_from_its_middle_ends_with_the_same_bits(run, tmp_path):
    ends_alike(run, tmp_path / "again")


def test_inspect_says_what_the_equations_say(capsys):
    assert unmask("inspect", DATA, *NETWORK) == 0
    said = capsys.readouterr().out
    assert all(words in said for words in ("64 pairs of 2 features", "coefficient", "0.9524", "samples/s"))


@works
def test_a_run_can_be_drawn_reported_and_compared_with_its_theory(run, tmp_path, capsys):
    own = shutil.copytree(run, tmp_path / "own")
    assert unmask("view", own) == 0
    assert min(Image.open(own / "view.png").size) > 200
    capsys.readouterr()
    assert unmask("evaluate", own, "--json") == 0
    found = json.loads(capsys.readouterr().out)["measures"]["theory"]["strength"]
    assert found["predicted"] == pytest.approx([0.907, 0.0625], abs=1e-3)  # the squares of the coefficients
    assert "feature_0" in write_report(own).read_text()


def test_what_does_not_fit_is_refused(run, tmp_path, capsys):
    def said(*arguments) -> str:
        capsys.readouterr()
        assert unmask(*arguments) != 0
        return capsys.readouterr().err

    words = ["--out", tmp_path / "new", *NETWORK, "--steps", 2, "--quiet"]
    assert "never changes; give it signal or noise" in said("pretrain", "static:signal=0x1,noise=0x1", *words)
    assert "do not fit; leave it out" in said("pretrain", DATA, *words, "--set", "features=5")
    assert "--channels names columns of files" in said("pretrain", DATA, *words, "--channels", "a")
    other = "static:signal=1x1x1,noise=1x1x1,samples=9"
    assert "has 3 features, the run was trained on 2" in said("embed", run, other, "--out", tmp_path / "x.npy")
    assert "finetune is for pictures" in said("finetune", run)
