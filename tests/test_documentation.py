"""The pages name what is there: every link leads to a file, every kind of data has a page, every command is one."""

import pkgutil
import re
import shlex
from pathlib import Path

import pytest

from unmask import cli
from unmask.app import modalities
from unmask.app.catalogue import slugs

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
PICTURES = "data"  # the page about pictures is the one about data in general
COMMAND = re.compile(r"^unmask (?:.*\\\n)*.*$", re.MULTILINE)


def commands(text: str) -> list[list[str]]:
    """The arguments of every command that stands in a block of shell."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in COMMAND.findall(block)]
    return [shlex.split(line.replace("\\\n", " "), comments=True)[1:] for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("kind", sorted(m.name for m in pkgutil.iter_modules(modalities.__path__)))
def test_every_kind_of_data_has_a_page_with_a_command_and_the_index_names_it(kind):
    name = PICTURES if kind == "image" else kind
    page = ROOT / "docs" / f"{name}.md"
    assert any(found[0] == "pretrain" or kind == "image" for found in commands(page.read_text()))
    assert f"({name}.md)" in (ROOT / "docs" / "index.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_options_that_exist_and_methods_that_exist(page):
    for arguments in commands(page.read_text()):
        found, strangers = cli._parser().parse_known_args([word.strip("[]") for word in arguments])
        assert not strangers, arguments
        assert getattr(found, "method", "mae") in slugs(), arguments


def test_every_system_is_named_in_the_readme():
    text = (ROOT / "README.md").read_text()
    assert not [slug for slug in slugs() if f"`{slug}`" not in text and f"--method {slug}" not in text]
