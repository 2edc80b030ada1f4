"""The demonstration runs, compares with the untrained network, and goes on where it was."""

import hashlib
import re

import pytest

from unmask.app.demo import TRAINED, UNTRAINED, demo

pytestmark = pytest.mark.slow
SMALL = {"model": "16x2x2", "image_size": 8, "patch_size": 2, "decoder_width": 16, "decoder_heads": 2}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Where a short demonstration wrote, its page, and what it said."""
    out, said = tmp_path_factory.mktemp("demo"), []
    page = demo(out, steps=1, say=said.append, **SMALL)
    return out, page.read_text(), "\n".join(said)


def weights(folder):
    files = sorted(folder.rglob("*.safetensors"))
    assert files
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_the_table_has_both_networks_and_the_baselines(shown):
    _, _, said = shown
    for row in (UNTRAINED, TRAINED, "raw pixels", "chance"):
        scores = re.search(rf"^{re.escape(row)}\s+([\d.]+)\s+([\d.]+)$", said, re.MULTILINE)
        assert scores, row
        assert all(0 <= float(score) <= 100 for score in scores.groups())


def test_the_report_shows_pictures_and_both_networks(shown):
    out, page, said = shown
    assert str(out / "report.html") in said
    assert "data:image/png;base64," in page
    assert TRAINED in page
    assert UNTRAINED in page


def test_the_untrained_network_is_the_trained_one_before_its_first_step(shown):
    out, _, _ = shown
    first = out / "self-guided-mae" / "snapshots" / "checkpoints" / "step-00000000"
    assert weights(first) == weights(out / "untrained" / "snapshots" / "checkpoints" / "step-00000000")


def test_a_second_demonstration_trains_nothing_again(shown):
    out, _, _ = shown
    before, said = weights(out), []
    demo(out, steps=1, say=said.append, **SMALL)
    assert weights(out) == before
    assert sum("is complete" in line for line in said) == 2
    assert (out / "report.html").exists()
