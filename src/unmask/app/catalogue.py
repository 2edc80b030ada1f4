"""The systems that are here, found by file name, and what is known to hold for them."""

import hashlib
import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import unmask
import unmask.methods as package
from unmask.core import Card, Method, Recipe
from unmask.core.assembly import arguments, assemble

STATES = ("works", "faithful", "proven")
TEST_EVIDENCE = "tests.json"  # written by the test run: which claims about a system were tested, and how it went


def slugs() -> list[str]:
    """The names of all systems."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def find(slug: str) -> ModuleType:
    """The file of a system. Raises ValueError with the nearest names for an unknown one."""
    if slug not in slugs():
        near = get_close_matches(slug, slugs(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`unmask methods` lists them"
        raise ValueError(f"method {slug!r} is unknown; {hint}")
    return importlib.import_module(f"{package.__name__}.{slug}")


def builder(slug: str) -> Callable[..., Method]:
    """The callable of a system: the public name of its file that spells the slug without underscores."""
    module = find(slug)
    wanted = slug.replace("_", "")
    for name, value in vars(module).items():
        if name.lower() == wanted and callable(value):
            return value
    raise ValueError(f"{module.__name__} defines nothing called like {wanted!r}; name its callable after the slug")


def create(slug: str, **settings: Any) -> Method:
    """A system by name, its arguments and those of its parts as plain settings.

    Raises ValueError for an unknown name or a value of the wrong kind.
    """
    return assemble(builder(slug), settings)


def complete(slug: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with the defaults of all that they do not name."""
    return {name: argument.default for name, argument in arguments(builder(slug)).items()} | settings


def card(slug: str) -> Card:
    return find(slug).CARD


def recipe(slug: str) -> Recipe:
    return find(slug).RECIPE


def results_folder() -> Path:
    """Where evidence lies: inside an installed package, or beside the sources."""
    root = Path(unmask.__file__).parent
    return root / "results" if (root / "results").is_dir() else root.parents[1] / "results"


def source_hash(slug: str) -> str:
    """What the evidence was made with: the hash of the system's own file."""
    return hashlib.sha256(Path(inspect.getfile(find(slug))).read_bytes()).hexdigest()[:16]


def states(slug: str, folder: Path | None = None) -> dict[str, bool]:
    """works, faithful and proven, computed from the last test run and the proof's result file."""
    folder = folder or results_folder()
    tests = _read(folder / TEST_EVIDENCE).get(slug, {})
    current = tests.get("source") == source_hash(slug)
    proof = _read(folder / f"{slug}.json")
    return {
        "works": current and _passed(tests.get("works")),
        "faithful": current and _passed(tests.get("faithful")),
        "proven": bool(proof.get("claims")) and all(claim["holds"] for claim in proof["claims"]),
    }


def claims_held(slug: str, folder: Path | None = None) -> str:
    """How many of its claims the proof showed, as "5/6"; "-" where no proof was run."""
    found = _read((folder or results_folder()) / f"{slug}.json").get("claims", [])
    return f"{sum(claim['holds'] for claim in found)}/{len(found)}" if found else "-"


def _passed(outcome: dict[str, int] | None) -> bool:
    return outcome is not None and outcome["passed"] > 0 and outcome["failed"] == 0


def _read(path: Path) -> dict:
    return json.loads(path.read_text()) if path.is_file() else {}


def methods(slug: str | None = None) -> list[dict[str, Any]] | dict[str, Any]:
    """All systems in short, or one with its arguments, recipe and evidence."""
    if slug is None:
        return [_summary(name) for name in slugs()]
    module = find(slug)
    return {
        **_summary(slug),
        "year": module.CARD.year,
        "paper": module.CARD.paper,
        "claim": module.CARD.claim,
        "about": inspect.getdoc(module),
        "arguments": {a.name: {"default": a.default, "of": a.owner} for a in arguments(builder(slug)).values()},
        "recipe": vars(module.RECIPE),
        "evidence": {
            "tests": _read(results_folder() / TEST_EVIDENCE).get(slug, {}),
            "proof": _read(results_folder() / f"{slug}.json"),
        },
    }


def _summary(slug: str) -> dict[str, Any]:
    about = card(slug)
    return {
        "slug": slug,
        "id": about.id,
        "title": about.title,
        "modality": about.data,
        "hides": about.hides,
        "predicts": about.predicts,
        **states(slug),
        "claims": claims_held(slug),
    }
