"""Torch archives: only on request, in another process, and never their code."""

import argparse
import os
import pickle
import zipfile

import pytest
import torch

from unmask.interop.architecture import architecture_of
from unmask.interop.folder import weights
from unmask.interop.names import MAE, to_theirs
from unmask.interop.published import build, load_into, read_published


@pytest.fixture
def archived(tmp_path, new_method):
    """A checkpoint as MAE's training script writes it."""
    method = new_method()
    tensors = to_theirs(weights(method), MAE, architecture_of(method))
    arguments = argparse.Namespace(model="mae_vit_tiny_patch4", input_size=16, mask_ratio=0.5, norm_pix_loss=True)
    content = {"model": {f"module.{n}": t for n, t in tensors.items()}, "epoch": 3, "args": arguments}
    torch.save(content, tmp_path / "checkpoint.pth")
    return method, tmp_path / "checkpoint.pth"


def test_an_archive_is_not_opened_unless_asked_for(archived):
    with pytest.raises(ValueError, match=r"can hide code.*save_file.*allow_pickle_archive=True"):
        read_published(archived[1])


@pytest.mark.slow
def test_mae_s_own_checkpoints_are_read_on_request(archived, new_method):
    method, path = archived
    kind, tensors, config = read_published(path, allow_pickle_archive=True)
    assert kind == "facebookresearch/mae"
    assert "cls_token" in tensors
    assert config["arguments"]["model"] == "mae_vit_tiny_patch4"
    other = new_method(seed=5)
    load_into(other, path, allow_pickle_archive=True)
    assert all(torch.equal(value, weights(method)[name]) for name, value in weights(other).items())
    with pytest.raises(ValueError, match="how many attention heads"):
        build(path, allow_pickle_archive=True)


class Evil:
    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["archive", "bare pickle", "inside args"])
def test_code_in_an_archive_never_runs(tmp_path, form):
    evil, path = Evil(tmp_path / "canary"), tmp_path / "evil.pth"
    if form == "archive":
        torch.save({"model": evil}, path)
    elif form == "inside args":
        torch.save({"model": {"a": torch.zeros(1)}, "args": argparse.Namespace(x=evil)}, path)
    else:
        path.write_bytes(pickle.dumps(evil))
    with pytest.raises(ValueError, match="could not be read as an archive of weights") as error:
        read_published(path, allow_pickle_archive=True)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "canary").exists()
    pickle.loads(pickle.dumps(evil))  # the bait does bite
    assert (tmp_path / "canary").exists()


@pytest.mark.slow
def test_broken_archives_are_refused(written, tmp_path):
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as file:
        file.writestr("hello", "world")
    torch.save([1, 2], tmp_path / "list.pth")
    for path in (tmp_path / "zip.pth", tmp_path / "list.pth", written("empty.pth", b"")):
        with pytest.raises(ValueError, match="could not be read"):
            read_published(path, allow_pickle_archive=True)
