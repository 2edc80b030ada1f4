"""Writes catalogue.md, one entry per system, from what the systems' own files say: `python docs/make_catalogue.py`."""

import inspect
import re
from pathlib import Path

from unmask.app.catalogue import builder, card, find, recipe, slugs
from unmask.core.assembly import arguments

PAGE = Path(__file__).with_name("catalogue.md")
HEAD = """# Catalogue

Made from the systems' files by `make docs`. Whether a system works, is faithful and is proven is never typed in:
`unmask methods` computes it from the last test run and the results of the proofs.
"""


def catalogue() -> str:
    """The whole page."""
    rows = [
        f"| [`{slug}`](#{slug}) | {about.title} | {about.year} | {about.data} | {about.hides} | {about.predicts} |"
        for slug in slugs()
        for about in [card(slug)]
    ]
    table = ["| name | system | year | data | hides | predicts |", "|---|---|---|---|---|---|", *rows]
    return "\n".join([HEAD, *table, *(line for slug in slugs() for line in entry(slug))]) + "\n"


def entry(slug: str) -> list[str]:
    """A system in full: what it is, its arguments and how its paper trained it."""
    about = card(slug)
    told = re.sub(r"(?<!\n)\n(?=[A-Z][a-z ]+: )", "  \n", inspect.getdoc(find(slug)) or "")
    settings = [f"| `{a.name}` | {a.default} | {a.owner} |" for a in arguments(builder(slug)).values()]
    trained = ", ".join(f"{name} {value}" for name, value in vars(recipe(slug)).items() if value is not None)
    return [
        f"\n## {slug}\n\n{told}\n",
        f"- Family: {about.family}",
        f"- Claim: {about.claim}",
        f"- Usual numbers: {about.usual}",
        f"- Recipe of the paper: {trained} (learning rate per 256 samples)\n",
        "| argument (`--set NAME=VALUE`) | default | of |",
        "|---|---|---|",
        *settings,
    ]


if __name__ == "__main__":
    PAGE.write_text(catalogue())
