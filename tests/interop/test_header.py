"""Safetensors headers: sound files pass, hostile ones are refused before anything is allocated."""

import json
import resource
import struct
import time

import pytest
import torch
from safetensors.torch import save_file

from unmask.interop.header import MOST_BYTES, MOST_TENSORS, read_header, read_json, read_tensors, weight_files


def packed(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape=(2,), span=(0, 8), kind="F32"):
    return {"dtype": kind, "shape": list(shape), "data_offsets": list(span)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_sound_files_are_read_as_they_were_written(tmp_path, dtype):
    tensors = {"a": torch.ones(2, 3).to(dtype), "b": torch.zeros(()).to(dtype), "empty": torch.zeros(0, 4).to(dtype)}
    save_file(tensors, tmp_path / "x.safetensors", metadata={"license": "MIT"})
    header = read_header(tmp_path / "x.safetensors")
    assert header.metadata == {"license": "MIT"}
    assert all(tensor.is_meta for tensor in header.tensors.values())
    assert {n: (t.shape, t.dtype) for n, t in header.tensors.items()} == {
        n: (t.shape, dtype) for n, t in tensors.items()
    }
    read = read_tensors(tmp_path / "x.safetensors")
    assert all(torch.equal(read[name], value) for name, value in tensors.items())


HOSTILE = {
    "length of 2^63": packed(b"{}", length=1 << 63),
    "length beyond the file": packed(b"{}", length=1000),
    "header larger than any model needs": packed(b" " * (MOST_BYTES + 1)),
    "empty file": b"",
    "seven bytes": b"1234567",
    "no header": packed(b""),
    "not JSON": packed(b"<html></html>"),
    "deeply nested": packed(b"[" * 100_000),
    "a list": packed([]),
    "metadata that is not text": packed({"__metadata__": {"a": 1}}),
    "100 000 tensors": packed({f"t{i}": entry((0,), (0, 0)) for i in range(100_000)}),
    "too many tensors": packed({f"{i}": entry((0,), (0, 0)) for i in range(MOST_TENSORS + 1)}),
    "overlapping": packed({"a": entry(), "b": entry(span=(4, 12))}, bytes(12)),
    "gap": packed({"a": entry(), "b": entry(span=(12, 20))}, bytes(20)),
    "unknown kind": packed({"a": entry(kind="F7")}, bytes(8)),
    "shape does not fill its place": packed({"a": entry((1 << 40, 1 << 40))}, bytes(8)),
    "negative": packed({"a": entry((-2,), (0, -8))}),
    "fractions": packed({"a": entry((2.0,))}, bytes(8)),
    "truth as a number": packed({"a": entry((True, 2))}, bytes(8)),
    "same name twice": packed(b'{"a":%b,"a":%b}' % ((json.dumps(entry()).encode(),) * 2), bytes(8)),
    "endless name": packed({"a" * 10_000: entry()}, bytes(8)),
    "lacks its place": packed({"a": {"dtype": "F32", "shape": [2]}}, bytes(8)),
    "not a table": packed({"a": 3}),
    "cut off": packed({"a": entry()}, bytes(7)),
    "bytes left over": packed({"a": entry()}, bytes(9)),
    "too many axes": packed({"a": entry((1,) * 64, (0, 4))}, bytes(4)),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_unsound_files_are_refused_in_one_sentence(written, content):
    path = written("bad.safetensors", content)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(ValueError, match="not a sound safetensors file") as error:
        read_tensors(path)
    assert len(str(error.value)) < 600
    assert "\n" not in str(error.value)
    assert time.process_time() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


def test_every_cut_of_a_sound_file_is_noticed(tmp_path, written):
    save_file({"a": torch.ones(4), "b": torch.ones(2)}, tmp_path / "whole.safetensors")
    content = (tmp_path / "whole.safetensors").read_bytes()
    for length in range(len(content)):
        with pytest.raises(ValueError, match="not a sound"):
            read_header(written("cut.safetensors", content[:length]))


def test_a_folder_may_hold_one_file_or_several_parts(tmp_path, written):
    parts = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}}
    written("model.safetensors.index.json", json.dumps(parts))
    assert [path.name for path in weight_files(tmp_path)] == ["model-1.safetensors", "model-2.safetensors"]
    written("model.safetensors", b"")
    assert [path.name for path in weight_files(tmp_path)] == ["model.safetensors"]
    written("other/weights.safetensors", b"")
    assert [path.name for path in weight_files(tmp_path / "other")] == ["weights.safetensors"]


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "a/b.safetensors", "x.bin", 3])
def test_parts_outside_the_folder_are_refused(tmp_path, written, name):
    written("model.safetensors.index.json", json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ValueError, match="outside its folder"):
        weight_files(tmp_path)


def test_a_missing_path_and_an_unclear_folder_are_told_apart(tmp_path, written):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        weight_files(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="holds 0 safetensors files"):
        weight_files(tmp_path)
    written("a.safetensors", b"")
    written("b.safetensors", b"")
    with pytest.raises(FileNotFoundError, match="holds 2 safetensors files"):
        weight_files(tmp_path)


def test_configurations_are_small_tables(written, tmp_path):
    assert read_json(tmp_path / "absent.json") == {}
    assert read_json(written("list.json", "[1]")) == {}
    for content, message in (
        (b"{", "not readable"),
        (b"[" * 100_000, "not readable"),
        (b" " * (MOST_BYTES + 1), "too many"),
    ):
        with pytest.raises(ValueError, match=message):
            read_json(written("bad.json", content))
