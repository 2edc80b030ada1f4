"""Export folders: whole or not at all, never over something that is there."""

import json

import pytest
import torch
from safetensors.torch import load_file

from unmask.interop import timm, transformers
from unmask.interop import torch as plain
from unmask.interop.folder import new_folder, normalisation, weights, write_tensors
from unmask.interop.header import read_header


def test_a_folder_takes_its_name_only_when_all_is_written(tmp_path):
    with new_folder(tmp_path / "deep" / "out") as partial:
        (partial / "a").write_text("1")
        assert not (tmp_path / "deep" / "out").exists()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
    assert (tmp_path / "deep" / "out" / "a").read_text() == "1"


def test_an_error_leaves_nothing_behind(tmp_path):
    def fail():
        with new_folder(tmp_path / "out") as partial:
            (partial / "a").write_text("1")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_never_replaced(tmp_path, new_method):
    (tmp_path / "out").mkdir()
    timm.export(new_method(), tmp_path / "out")  # an empty folder is welcome
    for place in (tmp_path / "out", tmp_path / "out" / "config.json"):
        with pytest.raises(FileExistsError, match="choose another folder"):
            timm.export(new_method(), place)


@pytest.mark.parametrize("export", [timm.export, transformers.export, plain.export])
def test_every_export_says_how_it_was_standardised_and_what_it_is(tmp_path, new_method, card, export):
    result = export(new_method(), tmp_path / "out", card, information={"step": 7, "licence": "Apache-2.0"})
    config = json.loads((tmp_path / "out" / "config.json").read_text())["unmask"]
    assert config["normalisation"]["mean"] == [120.0, 110.0, 100.0]
    assert config["normalisation"]["channels"] == ["red", "green", "blue"]
    assert config["architecture"]["grid"] == [4, 4]
    assert config["step"] == 7
    assert json.loads(read_header(tmp_path / "out" / "model.safetensors").metadata["unmask"]) == config
    assert set(result.files) == {path.name for path in (tmp_path / "out").iterdir()}
    assert str(tmp_path / "out") in result.usage
    assert not result.notes


def test_an_export_without_a_card_says_so(tmp_path, new_method):
    assert "no data card" in timm.export(new_method(), tmp_path / "out").notes[0]


def test_a_constant_channel_is_divided_by_one_as_in_training(card):
    assert normalisation(card)["std"] == [60.0, 50.0, 1.0]


def test_weights_of_a_compiled_method_have_plain_names(new_method):
    method = new_method()
    expected = weights(method)
    method.encoder = torch.compile(method.encoder)
    method.decoder.trunk = torch.compile(method.decoder.trunk)
    found = weights(method)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_compiled_method_is_exported_as_the_plain_one(tmp_path, new_method):
    method = new_method()
    plain.export(method, tmp_path / "plain")
    plain.export(torch.compile(method), tmp_path / "compiled")
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("plain", "compiled")]
    assert files[0] == files[1]


def test_equal_weights_give_equal_files_that_the_safetensors_package_reads(tmp_path):
    tensors = {"b": torch.randn(3, 4), "a.é": torch.zeros(()), "c": torch.randn(2, 2).T, "half": torch.ones(3).half()}
    for name in ("first", "second"):
        write_tensors(tmp_path / name, dict(reversed(tensors.items())), {"é": [1]})
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    found = load_file(tmp_path / "first")
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], value.float()) for name, value in tensors.items())


def test_methods_without_a_vision_transformer_are_refused(tmp_path):
    with pytest.raises(TypeError, match="no vision transformer"):
        timm.export(torch.nn.Linear(2, 2), tmp_path / "out")
    assert not list(tmp_path.iterdir())
