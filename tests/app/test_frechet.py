"""Frechet distances of what a run makes, in the features of another run."""

import json
from pathlib import Path

import pytest
import torch

from small_run import SMALL, make_pictures, unmask
from unmask.app.looking import batches_of, pictures_of, unseen
from unmask.app.measures.frechet import seen_by, training_part
from unmask.app.runs import load
from unmask.evaluate.features import represent

MAE = ["--method", "mae", *SMALL]
WAE = ["--method", "wae", "--set", "width=8", "--set", "latent=3", "--set", "layers=2"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A run that makes pictures, and one of an encoder that judges them."""
    folder = tmp_path_factory.mktemp("frechet")
    data = make_pictures(folder / "data")
    for name, options in (("maker", WAE), ("judge", MAE)):
        assert unmask("pretrain", data, "--out", folder / name, "--steps", 1, "--batch", 8, "--quiet", *options) == 0
    return folder


def test_made_given_back_and_training_pictures_are_compared_and_the_network_is_named(runs, capsys):
    capsys.readouterr()
    judge = ["--set", f"features={runs / 'judge'}"]
    assert unmask("evaluate", runs / "maker", "--with", "frechet", "--json", *judge) == 0
    found = json.loads(capsys.readouterr().out)["measures"]["frechet"]
    assert set(found["distances"]) == {"new pictures", "pictures given back", "training pictures"}
    assert all(distance >= 0 for distance in found["distances"].values())
    assert found["features"] == "mae of judge, 16 numbers"


def test_real_pictures_are_seen_as_the_judge_sees_them_itself(runs):
    maker, judge = load(runs / "maker"), load(runs / "judge")
    source = pictures_of(maker, None)
    own = torch.cat([represent(judge.method.eval(), batch).pooled for batch in batches_of(judge, source)])
    images = (batch["image"] for batch in batches_of(maker, source))
    torch.testing.assert_close(seen_by(judge, maker.card, images, torch.device("cpu")), own, atol=1e-4, rtol=1e-4)


def test_named_data_without_parts_are_not_compared_with_themselves(runs):
    own, named = load(runs / "maker"), runs / "data"
    assert training_part(own, named) is None
    held = unseen(own, None)
    names = {item.name for item in training_part(own, None).items}
    assert names
    assert names.isdisjoint(item.name for item in held.items)


def test_what_cannot_be_compared_is_one_sentence(runs, tmp_path, capsys):
    def words(run, *options) -> str:
        assert unmask("evaluate", run, "--with", "frechet", *options) == 2
        return capsys.readouterr().err

    assert "name its run, --set features=RUN" in words(runs / "maker")
    assert "mae makes no new pictures" in words(runs / "judge")
    grey = make_pictures(tmp_path / "grey", shape=(16, 16))
    options = [*MAE, "--steps", 1, "--batch", 8, "--quiet"]
    assert unmask("pretrain", grey, "--out", tmp_path / "run", *options) == 0
    assert "not on pictures of 3 channel(s)" in words(runs / "maker", "--set", f"features={tmp_path / 'run'}")
