"""What a method sees, hides and predicts of passages, as text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from unmask.core import Batch, Context
from unmask.data.text_card import TextCard
from unmask.data.tokenizer import CONTINUES
from unmask.evaluate.features import frozen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS, LINES = 92, 5  # of every passage
PLAIN, HIDDEN, RIGHT, WRONG, OTHER = "#1c1f24", "#9aa2ad", "#1f8a4c", "#d9662b", "#7048b6"
BLOCK, BLANK = "▒", "␣"  # what is hidden, and a blank that is predicted
SIZE = 7.0  # points
WIDTH, HEIGHT = SIZE * 0.602 / 72, SIZE * 1.5 / 72  # inches of a character of the font that is drawn in


class Word(NamedTuple):
    """A piece of text, its colour, and whether a blank stands before it."""

    text: str
    colour: str
    apart: bool


def text_panel(method: Any, batch: Batch, card: TextCard, context: Context) -> "Figure":
    """For every passage and view: what is seen, with blocks over what is hidden, and what is predicted there."""
    from matplotlib.figure import Figure

    with torch.no_grad(), frozen(method):
        views = method.views(batch, context)
    rows: list[tuple[str, list[list[Word]]]] = []
    for sample in range(len(batch["ids"])):
        for view in views:
            valid = batch["ids_valid"][sample].cpu()
            chosen = {
                name: getattr(view, name)[sample].cpu()[valid] for name in ("truth", "seen", "hidden", "prediction")
            }
            rows.append((f"{sample + 1} {view.name}: sees", _wrapped(_seen(card, **chosen))))
            rows.append(("predicts", _wrapped(_predicted(card, **chosen))))
    count = sum(len(lines) + 1 for _, lines in rows) + 3
    figure = Figure(figsize=(COLUMNS * WIDTH + 0.4, count * HEIGHT), dpi=130)
    place = 1
    for title, lines in rows:
        _write(figure, 0, place, count, [Word(title, HIDDEN, False)])
        for number, line in enumerate(lines, start=1):
            _write(figure, 0, place + number, count, line)
        place += len(lines) + 1
    legend = [("green: predicted right", RIGHT), ("orange: wrong", WRONG), ("violet: seen, but not what it was", OTHER)]
    _write(figure, 0, count - 1, count, [Word(text + "   ", colour, False) for text, colour in legend])
    return figure


def _seen(card: TextCard, truth, seen, hidden, prediction) -> list[Word]:
    words = []
    for piece, true, shown, covered in _pieces(card, seen, truth, seen, hidden):
        unlike = covered and shown != true
        blank = shown == card.tokenizer.mask or shown >= card.tokenizer.size
        text = BLOCK * len(_bare(card.tokenizer.pieces([true])[0])) if unlike and blank else piece
        words.append(Word(text, (HIDDEN if blank else OTHER) if unlike else PLAIN, True))
    return _spaced(card, words)


def _predicted(card: TextCard, truth, seen, hidden, prediction) -> list[Word]:
    words = []
    for piece, true, guess, covered in _pieces(card, torch.where(hidden, prediction, truth), truth, prediction, hidden):
        words.append(
            Word(
                BLANK if covered and piece == " " else piece,
                PLAIN if not covered else RIGHT if guess == true else WRONG,
                True,
            )
        )
    return _spaced(card, words)


def _pieces(card: TextCard, ids, *columns):
    """The text of every token, and beside it what the columns hold there."""
    return zip(card.tokenizer.pieces(ids.tolist()), *(column.tolist() for column in columns), strict=True)


def _bare(piece: str) -> str:
    return piece.removeprefix(CONTINUES)


def _spaced(card: TextCard, words: Sequence[Word]) -> list[Word]:
    """Pieces that go on with a word, and characters, follow without a blank."""
    together = card.tokenizer.mask is None
    return [
        Word(
            (word.text if together else _bare(word.text)).replace("\n", "⏎"),
            word.colour,
            not together and not word.text.startswith(CONTINUES),
        )
        for word in words
    ]


def _wrapped(words: Sequence[Word]) -> list[list[Word]]:
    """The first lines."""
    lines: list[list[Word]] = [[]]
    used = 0
    for word in words:
        need = len(word.text) + word.apart
        if used + need > COLUMNS and lines[-1]:
            if len(lines) == LINES:
                lines[-1].append(Word("...", HIDDEN, False))
                return lines
            lines.append([])
            used, word = 0, word._replace(apart=False)
        lines[-1].append(word)
        used += need
    return lines


def _write(figure: "Figure", column: int, line: int, count: int, words: Sequence[Word]) -> None:
    width, height = figure.get_size_inches()
    for word in words:
        column += word.apart
        figure.text(
            (0.2 + column * WIDTH) / width,
            1 - line * HEIGHT / height,
            word.text.replace("$", r"\$"),
            color=word.colour,
            fontsize=SIZE,
            family="monospace",
            va="baseline",
        )
        column += len(word.text)
