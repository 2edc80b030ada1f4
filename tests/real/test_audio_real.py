"""Sounds on real recordings of spoken digits: the card, a run, and digits told apart."""

import json

import pytest

from small_run import unmask, without_drawing  # noqa: F401
from unmask.data.sound import open_sounds
from unmask.data.sound_card import inspect_sounds

pytestmark = pytest.mark.real
SIZES = {"frames": 64, "bands": 64, "patch_size": 16, "decoder_width": 16, "decoder_depth": 2, "decoder_heads": 2}
NETWORK = ["--method", "audio_mae", "--model", "32x2x2"]
NETWORK += [word for name, value in SIZES.items() for word in ("--set", f"{name}={value}")]


@pytest.fixture(scope="module")
def archive(data_folder):
    return data_folder / "spoken_digits.tar"


def test_the_card_knows_digits_and_lengths(archive):
    source = open_sounds(archive, 64)
    assert source.classes == tuple("0123456789")
    card = inspect_sounds(source, 200)
    assert (card.count, card.rates, card.layouts, card.unreadable) == (3000, {"8000": 200}, {"1": 200}, {})
    assert 0.3 < card.seconds[1] < 0.5 < card.seconds[2] < 0.8


@pytest.mark.slow
@pytest.mark.works("audio_mae")
def test_a_run_on_spoken_digits_learns_and_tells_them_apart(archive, tmp_path, capsys):
    options = ["--steps", 30, "--batch", 32, "--lr", 2e-2, "--warmup", 0.1, "--monitor-every", 30, "--quiet"]
    assert unmask("pretrain", archive, "--out", tmp_path / "run", *NETWORK, *options, "--limit", 400) == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    first, last = (row["loss"] for row in rows if row["kind"] == "held_out")
    assert last < first
    capsys.readouterr()
    assert unmask("evaluate", tmp_path / "run", "--limit", 600, "--with", "knn", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["outcomes"]
    assert found["test"] > 0.2  # twice chance, after 30 steps
