"""What the tests of exchange share: methods that no layout leaves unchanged, a data card, other processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from unmask.data.card import DataCard
from unmask.methods.mae import MAE
from unmask.parts.nets.token_decoder import TokenDecoder
from unmask.parts.nets.vit import ViT

SECONDS = 120


def create_method(seed=0, normalise=True, **arguments):
    """An MAE whose every number is random: norms, biases and tokens too."""
    torch.manual_seed(seed)
    encoder = ViT(**{"model": "16x2x2", "image_size": 16, "patch_size": 4, **arguments})
    method = MAE(encoder, TokenDecoder(encoder, width=8, depth=2, heads=2), ratio=0.5, normalise=normalise).eval()
    for parameter in method.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape)
    return method


def create_pictures(method, samples=3, seed=1):
    """Standardised pictures of the size that the encoder was made for."""
    encoder = method.encoder
    size = [side * encoder.patch_size for side in encoder.grid]
    return torch.randn(samples, encoder.channels, *size, generator=torch.Generator().manual_seed(seed))


def run_elsewhere(code, *arguments, fails=False):
    """Runs the code in a process that knows nothing of this one, and returns the JSON it prints last."""
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if fails:
        return result
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout.strip().splitlines()[-1])


def export_elsewhere(library, folder, arguments=None, method=None):
    """Exports `create_method(**method)` in another process, whose shapes are not checked while it is traced."""
    code = (
        "import importlib, importlib.util, json, sys\n"
        "spec = importlib.util.spec_from_file_location('shared', sys.argv[1])\n"
        "shared = importlib.util.module_from_spec(spec); spec.loader.exec_module(shared)\n"
        "module = importlib.import_module(f'unmask.interop.{sys.argv[2]}')\n"
        "method = shared.create_method(**json.loads(sys.argv[5]))\n"
        "module.export(method, sys.argv[3], **json.loads(sys.argv[4]))\n"
        "print(json.dumps('done'))"
    )
    run_elsewhere(code, __file__, library, folder, json.dumps(arguments or {}), json.dumps(method or {}))


@pytest.fixture
def new_method():
    return create_method


@pytest.fixture
def pictures_of():
    return create_pictures


@pytest.fixture
def elsewhere():
    return run_elsewhere


@pytest.fixture
def exporting():
    return export_elsewhere


@pytest.fixture
def card():
    return DataCard(
        origin="folder",
        fingerprint="0" * 64,
        count=10,
        classes=(),
        splits={},
        channels=("red", "green", "blue"),
        dtype="uint8",
        minimum=(0.0, 0.0, 0.0),
        maximum=(255.0, 255.0, 255.0),
        mean=(120.0, 110.0, 100.0),
        std=(60.0, 50.0, 0.0),
        sizes=((16, 16), (16, 16), (16, 16)),
    )


@pytest.fixture
def written(tmp_path):
    """Writes bytes or text into the test's folder and returns the path."""

    def write(name, content):
        path = Path(tmp_path) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
