"""What most kinds of data do alike."""

import pytest

from unmask.app.kinds import channel_rows, refuse_options_of_pictures
from unmask.app.modalities import image
from unmask.cli import main


def test_statistics_become_rows_and_leave_the_facts():
    facts = {"origin": "here", "channels": ("x", "y"), "minimum": (0, 1), "maximum": (2, 3), "mean": (1, 2)}
    rows = channel_rows(facts := facts | {"std": (0.5, 0.6)}, "axis")
    assert rows[1] == {"axis": "y", "least": 1, "most": 3, "mean": 2, "std": 0.6}
    assert facts == {"origin": "here"}


def test_options_of_pictures_are_refused_unless_they_are_as_usual():
    refuse_options_of_pictures({"fit": "crop", "smallest": 1}, "rows are taken whole")
    refuse_options_of_pictures({}, "rows are taken whole")
    with pytest.raises(ValueError, match="--smallest 8 is about pictures; rows are taken whole"):
        refuse_options_of_pictures({"fit": "crop", "smallest": 8}, "rows are taken whole")


def test_a_method_that_shows_nothing_cannot_be_viewed(finished, monkeypatch, capsys):
    monkeypatch.setattr(image, "draws", lambda method: False)
    assert main(["view", str(finished)]) == 2
    assert "mae says nothing of what it sees and predicts; there is nothing to draw" in capsys.readouterr().err
