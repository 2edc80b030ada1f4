"""Looking at data and at runs: what inspect measures, which pictures a run is shown, what embed writes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from PIL import Image

from small_run import SIZES, make_pictures
from unmask.app.looking import _duration, analyse, batches_of, embed, inspect, pictures_of, unseen, view
from unmask.app.runs import load
from unmask.app.training import divide
from unmask.data.sources import open_source

NETWORK = {"model": "16x2x2", **SIZES}


def test_inspect_says_what_training_would_do_and_how_long_it_takes(pictures):
    said = []
    card = inspect(pictures, say=said.append, **NETWORK)
    assert (card.count, card.channels, card.dtype) == (40, ("red", "green", "blue"), "uint8")
    text = "\n".join(said)
    assert "random crops of 20% to 100% of the area, resized to 16x16" in text
    assert "pictures/s, an epoch of 40 in" in text
    assert "patch_size=4" in text


def test_inspect_measures_guided_masking_as_it_is_once_it_has_begun(pictures):
    said = []
    inspect(pictures, method="self_guided_mae", refresh="image", say=said.append, **NETWORK)
    assert "self_guided_mae" in "\n".join(said)


def test_inspect_reads_settings_given_as_text(pictures):
    inspect(pictures, say=lambda _: None, **{name: str(value) for name, value in NETWORK.items()})
    with pytest.raises(ValueError, match="did you mean patch_size"):
        inspect(pictures, say=lambda _: None, pacth_size=4)


def test_inspect_names_the_parts_of_the_data(tmp_path):
    for split in ("train", "test"):
        make_pictures(tmp_path / split, count=10)
    said = []
    assert inspect(tmp_path, say=said.append, **NETWORK).count == 20
    assert said[0] == "parts of the data: test (10), train (10)"
    assert inspect(tmp_path, split="train", say=said.append, **NETWORK).count == 8  # two of them held out


def test_inspect_looks_at_mixed_pictures_without_trying_to_train_on_them(tmp_path):
    make_pictures(tmp_path / "a", count=3)
    make_pictures(tmp_path / "b", count=2, shape=(16, 16))
    said = []
    card = inspect(tmp_path, say=said.append, out=tmp_path / "deep" / "card.json", **NETWORK)
    assert len(card.kinds) == 2
    assert "refused as it is" in said[-1]
    assert json.loads((tmp_path / "deep" / "card.json").read_text())["count"] == 5


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "1 seconds"), (119, "119 seconds"), (150, "2.5 minutes"), (9000, "2.5 hours")]
)
def test_durations_are_said_in_a_unit_that_fits(seconds, text):
    assert _duration(seconds) == text


def test_channels_that_the_run_does_not_know_are_left_out(tmp_path, finished):
    values = np.random.default_rng(0).integers(1, 255, (16, 16, 4), dtype=np.uint8)
    Image.fromarray(values, "RGBA").save(tmp_path / "x.png")
    assert open_source(tmp_path).read(0).channels == ("red", "green", "blue", "alpha")
    found = pictures_of(load(finished), tmp_path).read(0)
    assert found.channels == ("red", "green", "blue")
    np.testing.assert_array_equal(found.values, values[..., :3])


def test_a_run_is_shown_what_it_was_not_trained_on(finished, pictures):
    loaded = load(finished)
    _, held = divide(open_source(pictures))
    assert [item.name for item in unseen(loaded, None).items] == [item.name for item in held.items]
    assert len(unseen(loaded, pictures)) == 40


def test_pictures_are_standardised_with_the_statistics_of_the_run(finished, tmp_path):
    loaded = load(finished)
    Image.fromarray(np.full((16, 16, 3), 200, np.uint8)).save(tmp_path / "x.png")
    (batch,) = batches_of(loaded, open_source(tmp_path))
    expected = (200 - torch.tensor(loaded.card.mean)) / torch.tensor(loaded.card.std)
    torch.testing.assert_close(batch["image"][0, :, 3, 5], expected.float())


def test_vectors_are_those_of_the_features_and_belong_to_the_names(tmp_path, finished, pictures):
    found = embed(finished, pictures, out=tmp_path / "x.parquet", batch=7, device="cpu", say=print)
    table = parquet.read_table(tmp_path / "x.parquet").to_pylist()
    assert found["count"] == len(table) == 40
    loaded = load(finished)
    source = pictures_of(loaded, pictures)
    names = [item.name for item in source.items]
    assert [row["name"] for row in table] == names
    assert {row["label"] for row in table} == {"class0", "class1"}
    (batch,) = batches_of(loaded, source.subset([11]))
    with torch.no_grad():
        expected = loaded.features(batch).pooled[0].numpy()
    np.testing.assert_allclose(table[11]["vector"], expected, atol=1e-5)  # sums are ordered differently


def test_an_interrupted_embedding_leaves_what_was_there(tmp_path, finished, pictures, monkeypatch):
    embed(finished, pictures, out=tmp_path / "x.npy", say=print)
    before = (tmp_path / "x.npy").read_bytes()

    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("unmask.app.looking.np.save", broken)
    with pytest.raises(KeyboardInterrupt):
        embed(finished, pictures, out=tmp_path / "x.npy", say=print)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]
    assert (tmp_path / "x.npy").read_bytes() == before


def test_view_is_drawn_the_same_twice_and_differs_between_seeds_and_steps(tmp_path, finished):
    for name, options in {"a": {}, "b": {}, "seed": {"seed": 1}, "step": {"step": 0}}.items():
        view(finished, out=tmp_path / f"{name}.png", images=1, **options)
    a, b, seed, step = (np.asarray(Image.open(tmp_path / f"{n}.png")) for n in ("a", "b", "seed", "step"))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, seed)
    assert not np.array_equal(a, step)


def test_analyse_writes_beside_the_run_unless_told_otherwise(tmp_path, finished):
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    found = analyse(run, images=2)
    assert found
    assert list((run / "analysis").glob("*.png"))
