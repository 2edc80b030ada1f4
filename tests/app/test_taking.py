"""Taking an encoder home and asking what a file is."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file

from unmask.app.runs import load
from unmask.app.taking import TARGETS, export, info


def test_an_export_states_where_it_comes_from_and_how_pictures_are_standardised(finished, tmp_path):
    found = export(finished, "torch", tmp_path / "out")
    assert found["folder"] == str(tmp_path / "out")
    described = json.loads((tmp_path / "out" / "config.json").read_text())["unmask"]
    assert (described["method"], described["step"]) == ("mae", 4)
    assert described["normalisation"]["mean"] == list(load(finished).card.mean)
    assert "torch" in described


def test_the_decoder_goes_along_unless_left_out(finished, tmp_path):
    export(finished, "torch", tmp_path / "both")
    export(finished, "torch", tmp_path / "encoder", encoder_only=True)
    both, encoder = (load_file(tmp_path / name / "model.safetensors") for name in ("both", "encoder"))
    assert {name.split(".")[0] for name in both} == {"encoder", "decoder"}
    assert {name.split(".")[0] for name in encoder} == {"encoder"}


def test_every_target_has_a_module_that_exports():
    import importlib

    for target in TARGETS:
        assert callable(importlib.import_module(f"unmask.interop.{target}").export)


def test_a_run_is_described_by_its_newest_whole_checkpoint(finished, tmp_path):
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    found = info(run)
    assert (found["kind"], found["step"], found["steps"], found["warnings"]) == ("run", 4, 4, [])
    assert found["parameters"] == sum(p.numel() for p in load(run).method.state_dict().values())
    (run / "checkpoints" / "step-00000004" / "method.safetensors").write_bytes(b"")
    assert info(run)["step"] == 3
    assert len(info(run)["warnings"]) == 1


def test_a_weight_file_is_described_with_its_hash(finished, tmp_path):
    export(finished, "timm", tmp_path / "out")
    found = info(tmp_path / "out")
    assert found["kind"] == "timm"
    assert len(found["sha256"]) == 64
    json.dumps(found)


@pytest.mark.parametrize("name", ["model.pth", "model.bin", "checkpoint.pth.tar"])
def test_a_pickle_is_named_with_its_hash_and_not_opened(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x04 something")
    with pytest.raises(ValueError, match=r"is a torch archive \(12 bytes, sha256 [0-9a-f]{16}\).*not opened"):
        info(tmp_path / name)
