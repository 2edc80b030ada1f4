"""Sparse autoencoders on tokens of a real encoder of real photographs."""

import json

import pytest

from small_run import unmask, without_drawing  # noqa: F401

pytestmark = pytest.mark.real


@pytest.mark.slow
@pytest.mark.works("topk_sae")
@pytest.mark.usefixtures("without_drawing")
def test_tokens_of_clothes_are_given_back_better_than_their_mean(fewer, tmp_path):
    sizes = {"image_size": 32, "patch_size": 8, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
    network = [word for name, value in sizes.items() for word in ("--set", f"{name}={value}")]
    data = fewer("clothing10.tar", 250)
    host = ["--model", "32x2x2", *network, "--limit", 200, "--steps", 10, "--batch", 32, "--quiet"]
    assert unmask("pretrain", data, "--out", tmp_path / "host", *host, "--monitor-every", 10) == 0
    assert unmask("embed", tmp_path / "host", "--tokens", "--out", tmp_path / "tokens.npy") == 0
    options = ["--set", "latents=128", "--set", "k=8", "--steps", 60, "--batch", 256, "--lr", 0.01, "--quiet"]
    options += ["--limit", 3_000, "--monitor-every", 60]
    out = tmp_path / "run"
    assert unmask("pretrain", tmp_path / "tokens.npy", "--method", "topk_sae", "--out", out, *options) == 0
    assert unmask("evaluate", out, "--with", "sparsity", "--limit", 2000) == 0
    found = json.loads((out / "evaluation.json").read_text())["measures"]["sparsity"]
    assert found["used"] <= 8
    assert found["error"] < 0.6
