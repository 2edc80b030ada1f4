"""What a file is, said without loading it."""

import hashlib

import pytest
import torch
from safetensors.torch import load_file, save_file

from unmask.interop import timm, transformers
from unmask.interop import torch as plain
from unmask.interop.describe import describe
from unmask.interop.folder import weights


@pytest.mark.parametrize(("module", "kind"), [(plain, "unmask"), (timm, "timm"), (transformers, "transformers")])
def test_kind_sizes_configuration_and_hash_are_stated(tmp_path, new_method, card, module, kind):
    method = new_method()
    module.export(method, tmp_path / "out", card, information={"licence": "Apache-2.0"})
    found = describe(tmp_path / "out")
    assert found.kind == kind
    assert found.tensors == len(load_file(tmp_path / "out" / "model.safetensors"))
    assert found.licence == "Apache-2.0"
    assert found.architecture["grid"] == [4, 4]
    assert found.config["unmask"]["normalisation"]["mean"] == [120.0, 110.0, 100.0]
    assert found.sha256 == hashlib.sha256((tmp_path / "out" / "model.safetensors").read_bytes()).hexdigest()
    assert describe(tmp_path / "out" / "model.safetensors").architecture == found.architecture
    text = found.to_text()
    assert all(part in text for part in (kind, found.sha256, "Apache-2.0", "width 16", "mean"))


def test_parameters_are_counted_over_all_tensors(tmp_path, new_method):
    method = new_method()
    plain.export(method, tmp_path / "out")
    assert describe(tmp_path / "out").parameters == sum(value.numel() for value in weights(method).values())


def test_files_of_no_known_kind_are_described_as_far_as_they_go(tmp_path):
    save_file({"a": torch.zeros(3, 4)}, tmp_path / "x.safetensors")
    found = describe(tmp_path / "x.safetensors")
    assert (found.kind, found.tensors, found.parameters) == ("safetensors", 1, 12)
    assert "no known kind" in found.note
    assert found.licence is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.pth", "torch archive"), ("a.pt2", "program"), ("a.pth.tar", "torch archive"), ("a.onnx", "ONNX graph")],
)
def test_archives_and_programs_are_hashed_but_not_opened(written, name, kind):
    found = describe(written(name, b"cos\nsystem\n(S'touch canary'\ntR."))
    assert found.kind == kind
    assert found.tensors is None
    assert "not opened" in found.note
    assert found.sha256 == hashlib.sha256(b"cos\nsystem\n(S'touch canary'\ntR.").hexdigest()


@pytest.mark.parametrize(
    ("name", "content", "licence"),
    [
        ("README.md", "---\nlicense: cc-by-nc-4.0\n---\n# Model", "cc-by-nc-4.0"),
        ("LICENSE", "\n   MIT License\n\nCopyright", "MIT License"),
        ("config.json", '{"hidden_size": 3, "license": "mit"}', None),
    ],
)
def test_the_licence_is_looked_for_in_the_folder(tmp_path, new_method, written, name, content, licence):
    plain.export(new_method(), tmp_path / "out")
    written(f"out/{name}", content)
    assert describe(tmp_path / "out").licence == (licence or "mit")


def test_a_missing_or_broken_file_is_an_error(tmp_path, written):
    with pytest.raises(FileNotFoundError):
        describe(tmp_path / "nothing.safetensors")
    with pytest.raises(ValueError, match="not a sound"):
        describe(written("bad.safetensors", b"nonsense"))
