"""The report is one safe, whole file, whatever stands in the run folder."""

import json
import re
from dataclasses import asdict
from html.parser import HTMLParser

import pytest

from unmask.app import report
from unmask.app.report import read_log, write_report
from unmask.data.card import DataCard
from unmask.evaluate.outcome import Outcome

NASTY = "<script>alert('x')</script> & \"more\""
PNG = bytes.fromhex("89504e470d0a1a0a")  # enough to be recognised
VOID = {"meta", "img", "path", "use", "rect", "circle", "br", "line"}


def a_run(folder, name="clothes", log=True):
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {"minimum": (0.0,), "maximum": (255.0,), "mean": (120.5,), "std": (60.25,)}
    card = DataCard(
        f"/data/{name}", "f00d", 12_345, (name, "b"), {"train": 12_345}, (name,), "uint8", **numbers,
        sizes=((8, 9), (16, 16), (32, 40)), unreadable={f"{name}{i}.jpg": "is cut off" for i in range(9)},
    )  # fmt: skip
    config = {"method": name, "settings": {"patch_size": 4, "model": name}, "data": {"spec": f"/data/{name}"}}
    config |= {"plan": {"steps": 100, "batch": 64, "betas": [0.9, 0.95], "clip": None}, "versions": {"unmask": "0.1"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "data_card.json").write_text(card.to_json())
    (folder / "pictures").mkdir()
    if log:
        trivial = {f"trivial/{key}": 1.0 for key in ("mean", "visible", "nearest", "inpainted")}
        beats = {key.replace("trivial", "beats"): 0.5 for key in trivial}
        held_out = {"kind": "held_out", "loss": 0.5, "explained_variance": 0.5, "rankme": 9.0, "feature_std": 0.5}
        lines = [{"step": step, "progress": step / 100, **held_out, **trivial, **beats} for step in (50, 100)]
        lines += [{"step": step, "kind": "train", "loss": 1.0} for step in range(0, 100, 10)]
        (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


class Page(HTMLParser):
    """Collects tags, sources and text, and whether every tag that was opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.words, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for key, value in attrs if key in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_data(self, data):
        self.words.append(data)


def page(path):
    return Page(path.read_text())


def test_names_are_escaped_everywhere(tmp_path):
    run = a_run(tmp_path / "run", NASTY)
    path = write_report(run, {NASTY: {"accuracy": 0.5, "note": NASTY}, "list": [{NASTY: NASTY}]})
    read = page(path)
    assert "script" not in read.tags
    assert "<script" not in path.read_text()
    assert NASTY in " ".join(read.words)


def test_nothing_is_fetched_from_elsewhere(tmp_path):
    run = a_run(tmp_path / "run")
    (run / "pictures" / "step-00000100.png").write_bytes(PNG)
    read = page(write_report(run))
    assert any(source.startswith("data:image/png;base64,") for source in read.sources)
    assert all(source.startswith(("data:", "#")) for source in read.sources)
    assert not {"script", "link", "iframe"} & set(read.tags)
    assert read.open == []


def test_the_report_says_what_was_trained_on_what_and_how_it_went(tmp_path):
    run = a_run(tmp_path / "run")
    text = " ".join(page(write_report(run, {"knn": {"untrained": 0.297, "this run": 0.373}})).words)
    for words in ("12,345", "120.5", "8x9 to 32x40", "patch_size", "learning: its error is 50 % below copying"):
        assert words in text, words
    for words in ("untrained", "0.297", "0.373", "unmask export", "--to timm", "unmask.load", "9 (clothes0.jpg"):
        assert words in text, words
    assert "clothes8.jpg" not in text  # long lists are cut


def test_an_evaluation_in_the_run_folder_is_shown(tmp_path):
    run = a_run(tmp_path / "run")
    (run / "evaluation.json").write_text(json.dumps({"linear": {"accuracy": 0.4321}}))
    assert "0.4321" in write_report(run).read_text()


def test_test_scores_stand_beside_their_baselines(tmp_path):
    def outcome(test, pixels):
        return asdict(Outcome("knn", "accuracy", {1: 0.2, 2: 0.5}, 2, test, spread=0.01, pixels=pixels))

    trained = {"outcomes": [outcome(0.432, 0.25)], "chance": 0.1, "title": "MAE", "usual": "11 to 30"}
    untrained = {"outcomes": [outcome(0.297, None)], "chance": 0.1}
    path = write_report(a_run(tmp_path / "run"), {"this run": trained, "untrained": untrained})
    text = " ".join(page(path).words)
    head, row = (
        "probe score this run untrained raw pixels chance",
        "43.2 ± 1.0 % (block 2) 29.7 ± 1.0 % (block 2) 25.0 % 10.0 %",
    )
    assert f"{head} knn accuracy {row}" in text
    assert "usual for MAE: 11 to 30" in text
    assert "50.0 %" in text


def test_a_run_that_has_logged_nothing_has_a_report(tmp_path):
    text = write_report(a_run(tmp_path / "run", log=False)).read_text()
    assert "Nothing has been logged yet" in text
    assert "No pictures were drawn" in text


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run"):
        write_report(tmp_path)


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert read_log(tmp_path / "log.jsonl") == [{"step": 1, "loss": 2.0}]


def test_the_old_report_survives_when_writing_fails(tmp_path, monkeypatch):
    run = a_run(tmp_path / "run")
    before = write_report(run).read_text()

    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_report(run, {"new": 1})
    assert (run / "report.html").read_text() == before


def test_pictures_are_spread_over_the_training_newest_first(tmp_path):
    run = a_run(tmp_path / "run")
    for step in range(0, 1100, 100):
        (run / "pictures" / f"step-{step:08d}.png").write_bytes(PNG)
    shown = re.findall(r"<figcaption>step ([\d,]+)</figcaption>", write_report(run).read_text())
    assert len(shown) == report.PICTURES
    assert shown[0] == "1,000"
    assert shown[-1] == "0"


def test_curves_take_the_colour_of_the_page(tmp_path):
    text = write_report(a_run(tmp_path / "run")).read_text()
    assert "currentColor" in text
    assert report.SENTINEL not in text


def test_secrets_in_addresses_are_not_shown(tmp_path):
    run = a_run(tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    config["data"]["spec"] = "https://user:hunter2@example.org/data.tar"
    (run / "config.json").write_text(json.dumps(config))
    assert "hunter2" not in write_report(run).read_text()


def test_the_report_can_be_written_elsewhere(tmp_path):
    path = write_report(a_run(tmp_path / "run"), out=tmp_path / "new" / "page.html")
    assert path == tmp_path / "new" / "page.html"
    assert path.read_text().startswith("<!doctype html>")
