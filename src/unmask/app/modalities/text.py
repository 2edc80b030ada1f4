"""Passages of text."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import Int64
from torch import Tensor

from unmask.app.kinds import look_under_own_masks, refuse_options_of_pictures
from unmask.app.text_plots import text_panel
from unmask.core import Batch, Context, Method, Recipe
from unmask.core.assembly import Argument
from unmask.data.source import Source
from unmask.data.text import TextSource, open_text
from unmask.data.text_card import TextCard, inspect_text
from unmask.data.text_files import holds_text
from unmask.data.text_views import TextView
from unmask.train.checkpoint import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOUN = TextSource.noun
PROBES: tuple[str, ...] = ()
USAGE = (
    "embed {run} {data} --out features.parquet",
    "view {run} {data}",
)
SUFFIX = ".txt"  # of files that `generate` writes
RULE = "\n" + "-" * 8 + "\n"  # between passages in one file
INPUT = ("ids", "[b t] of token numbers, with `ids_valid` and `word`: `run.card.tokenizer` makes them of text")


def holds(spec: str | Path) -> bool:
    """Whether DATA is text, by the names of the files."""
    return holds_text(spec)


def open_data(spec: str | Path, where: dict[str, Any], settings: dict[str, Any]) -> TextSource:
    """The passages of the text that `spec` names, as long as the method's, in the tokens that it asks for."""
    if where.get("channels"):
        raise ValueError("--channels is about pictures and tables; passages of text are taken as they are")
    return open_text(spec, settings["length"], settings["tokenizer"], settings["vocabulary"])


def open_like(spec: str | Path, where: dict[str, Any], settings: dict[str, Any], card: TextCard) -> TextSource:
    """The passages of the text that `spec` names, in the tokens of the run."""
    return open_text(spec, settings["length"], card.tokenizer, card.vocabulary)


def measure(source: Source, everything: bool = False) -> TextCard:
    """The data card; all passages are measured in any case."""
    return inspect_text(source)


def card_from_json(facts: dict[str, Any]) -> TextCard:
    return TextCard.from_json(facts)


def settings_of_data(card: TextCard, known: dict[str, Argument], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings among `known` that follow from the tokenizer. Raises ValueError where it has no mask token."""
    tokenizer = card.tokenizer
    if "mask_token" in known and tokenizer.mask is None:
        raise ValueError(
            f"tokenizer={tokenizer.kind} has no token that stands for what is hidden; choose tokenizer=wordpiece"
        )
    found = {"vocabulary": tokenizer.size, "reserved": tokenizer.reserved, "mask_token": tokenizer.mask}
    return {name: value for name, value in found.items() if name in known}


def check(card: TextCard, settings: dict[str, Any], where: dict[str, Any]) -> None:
    """Raises ValueError for a vocabulary that the tokens do not fit in, and for what is asked of pictures only."""
    if settings["vocabulary"] < card.vocabulary:
        raise ValueError(
            f"vocabulary {settings['vocabulary']} is smaller than the tokenizer's {card.vocabulary}; leave it out"
        )
    refuse_options_of_pictures(where, "passages of text are taken as they are")


def training_view(method: Method, published: Recipe, settings: dict[str, Any], where: dict[str, Any]) -> TextView:
    return TextView(settings["length"])


def evaluation_view(settings: dict[str, Any], where: dict[str, Any]) -> TextView:
    return TextView(settings["length"])


look = look_under_own_masks


def draws(method: Method) -> bool:
    """Whether the method says what its views see and predict."""
    return hasattr(method, "views")


def panel(method: Method, batch: Batch, card: TextCard, context: Context) -> "Figure":
    return text_panel(method, batch, card, context)


def described(card: TextCard) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The card for a report: facts, and one row for each of the most frequent tokens."""
    facts = asdict(card)
    table = [{"token": piece, "share": share} for piece, share in facts.pop("frequent").items()]
    facts["tokenizer"] = facts.pop("tokenizer_state")["kind"]
    return facts, table


def write_samples(made: Int64[Tensor, "n t"], card: TextCard, path: Path) -> None:
    """Passages in one file, a line of dashes between them, or in a folder with one file each."""
    texts = [card.tokenizer.decode(ids) for ids in made.tolist()]
    if path.suffix:
        write_atomically(path, [(RULE.join(texts) + "\n").encode()])
        return
    path.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        write_atomically(path / f"{number:0{len(str(len(texts) - 1))}d}{SUFFIX}", [(text + "\n").encode()])
