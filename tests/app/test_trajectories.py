"""The verbs on recorded control: trained, taken up again, looked at, measured, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from small_run import unmask, without_drawing  # noqa: F401
from small_trajectories import NETWORK, episode, make_recording, pretrain_trajectories
from unmask.app.report import write_report
from unmask.data.recording import save
from whole_run import ends_alike

works = pytest.mark.works("maskdp")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_recording(tmp_path_factory.mktemp("data") / "waves.npz")


@pytest.fixture(scope="module")
def run(tmp_path_factory, data):
    """The folder of a run of four steps; not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert pretrain_trajectories(data, out, "--steps", 4, "--save-every", 2, "--monitor-every", 4) == 0
    return out


@works
@pytest.mark.usefixtures("without_drawing")
def test_a_run_taken_up_from_its_middle_ends_with_the_same_bits(run, tmp_path):
    ends_alike(run, tmp_path / "again")


def test_inspect_says_what_training_would_do(data, capsys):
    assert unmask("inspect", data, *NETWORK) == 0
    said = capsys.readouterr().out
    for words in ("230 of 8 steps", "3 of a state, 2 of an action", "train: 7 episodes", "a, b", "windows/s"):
        assert words in said


@works
def test_a_run_is_drawn_measured_and_reported(run, data, tmp_path, capsys):
    own = shutil.copytree(run, tmp_path / "own")
    assert len(list((own / "pictures").glob("*.png"))) == 2
    assert unmask("view", own, "--images", 2) == 0
    assert min(Image.open(own / "view.png").size) > 300
    capsys.readouterr()
    assert unmask("evaluate", own, "--set", "ahead=4", "--json") == 0
    found = json.loads(capsys.readouterr().out)["measures"]["goals"]
    assert set(found["mse"]) == {"one goal", "goals on the way", "no goal", "the mean action"}
    assert unmask("evaluate", own, "--with", "knn", "--no-pixels") == 0
    assert unmask("embed", own, "--out", tmp_path / "x.npy") == 0
    assert np.load(tmp_path / "x.npy").shape == (230, 8)
    assert "action_1" in write_report(own).read_text()


@works
@pytest.mark.usefixtures("without_drawing")
def test_rollouts_act_in_the_simulator_of_the_recordings(tmp_path, capsys):
    pytest.importorskip("gymnasium", reason="simulated tasks need the extra `control`")
    spec = "Pendulum-v1:episodes=6,steps=30"
    assert pretrain_trajectories(spec, tmp_path / "run", "--steps", 2, "--monitor-every", 2) == 0
    capsys.readouterr()
    options = ["--set", "ahead=4", "--set", "cases=3", "--json"]
    assert unmask("evaluate", tmp_path / "run", "--with", "rollouts", *options) == 0
    found = json.loads(capsys.readouterr().out)["measures"]["rollouts"]
    assert found["distance"]["one goal, recorded actions"] < 1e-5 < found["distance"]["one goal, no action"]
    assert found["distance"]["goals on the way, recorded actions"] < 1e-5
    assert found["reward"]["prompted"] < 0


def test_what_does_not_fit_is_refused(run, data, tmp_path, sentence):
    def refused(path, *more) -> str:
        return sentence("pretrain", path, "--out", tmp_path / "new", *NETWORK, "--steps", 2, "--quiet", *more)

    assert "--fit pad is about pictures" in refused(data, "--fit", "pad")
    assert "--channels names columns of tables" in refused(data, "--channels", "x")
    np.savez(tmp_path / "idle.npz", observations=np.random.rand(40, 3), actions=np.zeros((40, 2)))
    assert "no action of" in (said := refused(tmp_path / "idle.npz"))
    assert "ever changes" in said
    np.savez(tmp_path / "half.npz", observations=np.random.rand(40, 3))
    assert "but no actions" in refused(tmp_path / "half.npz")
    save([episode(i, missing=(12, 0)) for i in range(10)], tmp_path / "gap.npz")
    assert "windows cannot be used, more than the budget" in refused(tmp_path / "gap.npz", "--batch", "16")
    np.savez(tmp_path / "other.npz", observations=np.random.rand(40, 4), actions=np.random.rand(40, 2))
    assert "has 4 numbers a state and 2 an action, the run was trained on 3 and 2" in sentence(
        "evaluate", run, tmp_path / "other.npz"
    )
    assert "does not name one simulated task" in sentence("evaluate", run, "--with", "rollouts")
    assert "finetune is for pictures" in sentence("finetune", run)
    assert "windows of 8 steps hold no goal 16 ahead" in sentence("evaluate", run, "--with", "goals")
