"""Taking an encoder home: export, and saying what a file is."""

import importlib
from pathlib import Path
from typing import Any

from unmask.app.modality import require_pictures
from unmask.app.runs import load, read_config
from unmask.train.checkpoint import newest

PICKLE = "torch archive"
TARGETS = ("timm", "transformers", "onnx", "torch")


def export(run: str | Path, to: str, out: str | Path, *, encoder_only: bool = False) -> dict[str, Any]:
    """Writes the weights of a run for another library, with normalisation and configuration.

    to: "timm", "transformers", "onnx" or "torch". Encoder and decoder where the format can hold both.
    """
    if to not in TARGETS:
        raise ValueError(f"export to {to!r} is unknown; choose one of {', '.join(TARGETS)}")
    require_pictures(read_config(Path(run)).method, f"export to {to}")
    loaded = load(run)
    module = importlib.import_module(f"unmask.interop.{to}")
    information = {"method": loaded.config.method, "step": loaded.step, **loaded.config.versions}
    options = {"encoder_only": encoder_only} if to in ("transformers", "torch") else {}
    written = module.export(loaded.method, out, loaded.card, information=information, **options)
    return {"to": to, **vars(written), "folder": str(out)}


def info(file: str | Path) -> dict[str, Any]:
    """What a run, an export or a weight file is: kind, method, sizes, data, step, hash.

    Raises ValueError for a pickle, which is never opened.
    """
    path = Path(file)
    if (path / "config.json").is_file() and (path / "data_card.json").is_file():
        config, checkpoint = read_config(path), newest(path)
        tensors = checkpoint.tensors("method")
        return {
            "kind": "run",
            "method": config.method,
            "settings": config.settings,
            "data": config.data,
            "step": checkpoint.step,
            "steps": config.plan["steps"],
            "parameters": sum(t.numel() for t in tensors.values()),
            "tensors": len(tensors),
            "checkpoint": str(checkpoint.path),
            "versions": config.versions,
            "warnings": list(checkpoint.warnings),
        }
    from unmask.interop.describe import describe

    found = describe(path)
    if found.kind == PICKLE:
        raise ValueError(
            f"{path} is a torch archive ({found.bytes:,} bytes, sha256 {found.sha256[:16]}), a pickle that can run"
            " code, and is not opened; save its tensors as .safetensors"
        )
    return found.to_json()
