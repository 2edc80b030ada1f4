"""Torch archives (.pth, .pt, .bin) turned into safetensors, in a process of their own.

Run as `python -m unmask.interop.archive SOURCE TARGET`. Only tensors and plain values are accepted: an archive
that asks for anything else is refused by torch before anything of it runs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from torch import Tensor

SUFFIXES = {".pth", ".pt", ".bin", ".ckpt"}
SECTIONS = ("model", "state_dict")  # where training scripts put the weights
SECONDS = 600


def is_archive(path: Path) -> bool:
    """Whether the name is that of a torch archive, such as model.pth or checkpoint.pth.tar."""
    return bool(SUFFIXES.intersection(path.suffixes[-2:]))


def converted(path: Path, folder: Path) -> Path:
    """The archive's weights as a safetensors file in `folder`. ValueError if it holds more than weights."""
    target = folder / "model.safetensors"
    command = [sys.executable, "-P", "-m", "unmask.interop.archive", str(path.resolve()), str(target)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if result.returncode or not target.is_file():
        reason = (result.stderr.strip().splitlines() or ["the process was killed"])[-1]
        raise ValueError(f"{path} could not be read as an archive of weights: {reason[:300]}")
    return target


def convert(path: Path, target: Path) -> None:
    """Reads an archive with torch's restricted loader and writes its weights."""
    import torch
    from safetensors.torch import save_file

    with torch.serialization.safe_globals([argparse.Namespace]):  # MAE's training script stores its arguments so
        content = torch.load(path, map_location="cpu", weights_only=True)
    section = next((s for s in SECTIONS if isinstance(content, dict) and isinstance(content.get(s), dict)), None)
    table = content if section is None else content[section]
    tensors = {name: value for name, value in table.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ValueError("it holds no table of tensors")
    arguments = vars(content["args"]) if section and isinstance(content.get("args"), argparse.Namespace) else {}
    plain = {name: value for name, value in arguments.items() if isinstance(value, str | int | float | bool)}
    save_file(
        {name: value.detach().contiguous().clone() for name, value in tensors.items()},
        target,
        metadata={"arguments": json.dumps(plain)},
    )


def main(source: str, target: str) -> int:
    """Converts and says in one line what went wrong."""
    try:
        with tempfile.TemporaryDirectory(dir=Path(target).parent) as folder:
            whole = Path(folder) / "whole"
            convert(Path(source), whole)
            whole.replace(target)
    except Exception as error:
        text = " ".join(str(error).split())
        found = text.find("Unsupported global")
        print(text[found:] if found >= 0 else text, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
