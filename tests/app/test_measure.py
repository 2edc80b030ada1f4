"""Measures are found by name, and take their own options only."""

import types

import pytest

from unmask.app.measure import Measured, measure_names, options_of
from unmask.cli import main


def test_there_is_a_measure_for_every_module_and_its_options_are_its_keyword_arguments():
    assert {"forecasting", "likelihood"} <= set(measure_names())

    def measure(loaded, asked, *, horizon: int = 96) -> Measured: ...

    module = types.SimpleNamespace(measure=measure)
    assert {name: (o.kind, o.default) for name, o in options_of(module).items()} == {"horizon": (int, 96)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--with", "likelyhood"], "probe 'likelyhood' is unknown; choose from knn, linear"),
        (["--with", "knn", "--horizon", "6"], "option 'horizon' is unknown to what is measured; it takes none"),
        (
            ["--with", "likelihood", "--horizon", "6"],
            "'horizon' is unknown to what is measured; likelihood takes samples",
        ),
        (["--with", "forecasting", "--set", "horizon=six"], "horizon='six' is not int"),
    ],
)
def test_an_unknown_measure_or_option_gives_one_sentence(finished, capsys, arguments, words):
    assert main(["evaluate", str(finished), *arguments]) == 2
    assert words in capsys.readouterr().err
