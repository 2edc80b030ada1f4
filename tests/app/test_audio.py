"""The verbs on sounds: trained, taken up again, looked at, measured, and what is refused."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from small_run import unmask, without_drawing  # noqa: F401
from small_sound import NETWORK, make_sounds, pretrain_sounds, tone, write_sound
from unmask.app.catalogue import builder
from unmask.app.modalities.audio import settings_of_data
from unmask.app.report import write_report
from unmask.app.runs import read_card
from unmask.core.assembly import arguments
from unmask.data.sound import open_sounds
from unmask.data.sound_card import SoundCard, inspect_sounds
from whole_run import ends_alike

works = pytest.mark.works("audio_mae")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_sounds(tmp_path_factory.mktemp("sounds") / "tones")


@pytest.fixture(scope="module")
def run(tmp_path_factory, data) -> Path:
    """The folder of a run of four steps with marked padding; not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "run"
    options = ["--steps", 4, "--save-every", 2, "--monitor-every", 4, "--log-every", 1, "--fit", "pad"]
    assert pretrain_sounds(data, out, *options) == 0
    return out


@works
def test_a_run_holds_its_card_numbers_and_pictures(run, data):
    card = read_card(run)
    assert isinstance(card, SoundCard)
    assert (card.origin, card.rate, card.bands, card.classes) == (str(data), 4000, 16, ("0", "1"))
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    held = [row for row in rows if row["kind"] == "held_out"]
    assert [row["step"] for row in held] == [0, 4]
    assert all(np.isfinite(row[name]) for row in held for name in ("loss", "beats/nearest", "rankme", "knn/02"))
    assert len(list((run / "pictures").glob("*.png"))) == 2


@works
@pytest.mark.usefixtures("without_drawing")
def test_a_run_taken_up_from_its_middle_ends_with_the_same_bits(run, tmp_path):
    ends_alike(run, tmp_path / "again")


def test_inspect_says_what_training_would_do(data, capsys):
    assert unmask("inspect", data, *NETWORK) == 0
    said = capsys.readouterr().out
    for words in ("40 (", "40 x 4,000 Hz", "spectrograms of 16 frames", "sounds/s", "2: 0, 1", "counts as sound"):
        assert words in said


@works
def test_a_run_can_be_drawn_and_reported(run, tmp_path):
    assert unmask("view", run, "--images", 2, "--out", tmp_path / "view.png") == 0
    assert min(Image.open(tmp_path / "view.png").size) > 100
    assert "nine of ten up to" in write_report(Path(shutil.copytree(run, tmp_path / "run"))).read_text()


@works
def test_features_tell_the_pitch_and_are_written_with_names(run, tmp_path, capsys):
    import pyarrow.parquet as parquet

    own = Path(shutil.copytree(run, tmp_path / "run"))
    capsys.readouterr()
    assert unmask("evaluate", own, "--json") == 0
    found = {outcome["name"]: outcome["test"] for outcome in json.loads(capsys.readouterr().out)["outcomes"]}
    assert found["linear"] > 0.7
    assert unmask("embed", run, "--out", tmp_path / "features.parquet") == 0
    table = parquet.read_table(tmp_path / "features.parquet").to_pydict()
    assert table["name"][0] == "0_ann_0.wav"
    assert table["label"][0] == "0"


@works
@pytest.mark.usefixtures("without_drawing")
def test_rows_and_columns_are_hidden_by_their_word(data, tmp_path):
    assert pretrain_sounds(data, tmp_path / "run", "--steps", 1, "--mask", "product:rows=0.5") == 0


@pytest.mark.usefixtures("without_drawing")
def test_resampling_and_mixing_are_said_when_a_run_begins_and_when_it_is_used(run, data, tmp_path, capsys):
    other = Path(shutil.copytree(data, tmp_path / "tones"))
    write_sound(other / "0_bob_1.wav", tone(0.4, rate=8000), 8000)
    write_sound(other / "1_bob_2.wav", np.stack([tone(0.4)] * 2, 1))
    assert pretrain_sounds(other, tmp_path / "run", "--steps", 1) == 0
    said = capsys.readouterr().err
    assert "warning: resampled: 1 of 40 sounds, to 4,000 Hz" in said
    assert "warning: mixed: 1 of 40 sounds, to one channel" in said
    assert unmask("embed", run, other, "--out", tmp_path / "features.npy") == 0
    assert "1 of 42 sounds of" in capsys.readouterr().err


def test_the_length_of_spectrograms_follows_the_sounds(data):
    known = arguments(builder("audio_mae"))
    card = inspect_sounds(open_sounds(data, 16))  # nine of ten have at most 0.5 s
    assert settings_of_data(card, known, {}) == {"frames": 64}
    assert settings_of_data(card, known, {"patch_size": 4}) == {"frames": 64}
    assert settings_of_data(card, known, {"patch_size": 2}) == {"frames": 56}


def test_a_missing_library_is_named_in_one_sentence(data, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    assert unmask("inspect", data, *NETWORK) != 0
    assert "unmask: reading .wav needs soundfile: pip install 'unmask[audio]'" in capsys.readouterr().err.splitlines()


def test_what_does_not_fit_is_refused(run, data, tmp_path, capsys):
    def refused(*arguments) -> str:
        capsys.readouterr()
        assert unmask(*arguments) != 0
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("unmask: ")]
        return said[-1]

    begun = ["--out", tmp_path / "new", *NETWORK, "--steps", 2, "--quiet"]
    assert "fit 'squash' is unknown; choose one of crop, pad" in refused("pretrain", data, *begun, "--fit", "squash")
    assert "those of sounds are mixed" in refused("pretrain", data, *begun, "--channels", "left")
    assert "about the sides of pictures" in refused("pretrain", data, *begun, "--smallest", 8)
    (tmp_path / "empty").mkdir()
    assert "holds no sound; files that count are .wav" in refused("pretrain", tmp_path / "empty", *begun)
    assert "works on sounds, and finetune is for pictures" in refused("finetune", run)
