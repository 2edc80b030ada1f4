"""The rules of the house: who imports whom, how long files are, nothing twice, nothing half there."""

import ast
import hashlib
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from unmask.app.catalogue import builder, slugs
from unmask.core import Card, Recipe

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "unmask"
FILES = sorted(SOURCE.rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "common", "helpers", "misc"}
FREE = ("proofs", "interop", "app", "api", "cli", "__init__")  # may import everything but cli

ALLOWED = {
    "core": {"core"},
    "parts.ops": {"core", "parts.ops"},
    "parts.losses": {"core", "parts.losses"},
    "parts.nets": {"core", "parts.ops", "parts.nets"},
    "parts": {"core", "parts.ops", "parts.losses", "parts.nets"},  # and the own folder, see below
    "families": {"core", "parts", "families"},
    "methods": {"core", "parts", "families"},
    "data": {"core", "data"},
    "train": {"core", "parts.ops", "parts.losses", "train"},
    "evaluate": {"core", "parts.ops", "parts.losses", "evaluate"},
}


def place(path: Path) -> str:
    """The dotted name of a file below the package, without the package's own."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(path: Path) -> set[str]:
    """Everything that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def may_import(importer: str, target: str) -> bool:
    if importer.split(".")[0] in FREE or not importer:
        return target.split(".")[0] != "cli"
    key = next(k for k in sorted(ALLOWED, key=len, reverse=True) if importer == k or importer.startswith(k + "."))
    allowed = set(ALLOWED[key])
    if key == "parts":
        allowed.add(".".join(importer.split(".")[:2]))
    if importer.startswith("methods."):
        allowed.discard("methods")
    return any(target == a or target.startswith(a + ".") for a in allowed)


@pytest.mark.parametrize("path", FILES, ids=place)
def test_arrows_point_only_where_they_may(path):
    wrong = set()
    for name in imported(path):
        if name.startswith("unmask.") and (SOURCE / Path(*name.split(".")[1:2])).exists():
            target = name.removeprefix("unmask.")
            if not may_import(place(path), target):
                wrong.add(target)
    assert not wrong, f"{place(path)} may not import {sorted(wrong)}"


@pytest.mark.parametrize("path", FILES, ids=place)
def test_only_train_knows_accelerate_and_only_the_edge_knows_other_libraries(path):
    for name in imported(path):
        library = name.split(".")[0]
        if library == "accelerate":
            assert place(path).startswith("train."), f"{place(path)} imports accelerate"
        if library in ("timm", "transformers"):
            assert place(path).startswith("interop."), f"{place(path)} imports {library}"
        if place(path).startswith("core"):
            assert library in {"torch", "jaxtyping", "unmask"} | sys.stdlib_module_names


@pytest.mark.parametrize("path", FILES, ids=place)
def test_files_are_short_and_named_for_one_idea(path):
    most = 250 if "methods" in path.parts else 400
    assert len(path.read_text().splitlines()) <= most
    assert path.stem not in FORBIDDEN_NAMES


def test_families_are_at_most_ten_and_under_a_screen_and_a_half():
    families = [p for p in (SOURCE / "families").glob("*.py") if p.stem != "__init__"]
    assert len(families) <= 10
    for path in families:
        classes = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef)]
        assert all((n.end_lineno or 0) - n.lineno < 60 for n in classes), path.name


def bodies(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            statements = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            if sum(isinstance(n, ast.stmt) for s in statements for n in ast.walk(s)) >= 5:
                text = "\n".join(ast.dump(s) for s in statements)
                yield hashlib.sha256(text.encode()).hexdigest(), f"{place(path)}.{node.name}"


def test_no_function_body_stands_twice():
    seen: dict[str, str] = {}
    twice = []
    for path in FILES:
        for digest, name in bodies(path):
            if digest in seen:
                twice.append((seen[digest], name))
            seen[digest] = name
    assert not twice


@pytest.mark.parametrize("path", [p for p in FILES if p.name == "__init__.py"], ids=place)
def test_packages_do_no_work_on_import(path):
    if place(path) in ("", "core", "families"):
        return
    assert not path.read_text().strip()


@pytest.mark.parametrize("slug", slugs())
def test_every_method_has_card_recipe_tiny_callable_and_a_test_of_its_own(slug):
    module = importlib.import_module(f"unmask.methods.{slug}")
    assert isinstance(module.CARD, Card)
    assert isinstance(module.RECIPE, Recipe)
    assert callable(module.tiny)
    assert callable(builder(slug))
    assert (ROOT / "tests" / "methods" / f"test_{slug}.py").exists()
    assert (SOURCE / "proofs" / f"{slug}.py").exists()
    assert (module.__doc__ or "").count("New here:") == 1


def test_no_method_file_imports_another_method():
    for path in (SOURCE / "methods").glob("*.py"):
        assert not any(name.startswith("unmask.methods") for name in imported(path))


def test_parts_name_no_method():
    """A part that knows a method's name is two parts. Docstrings may say where an idea comes from."""
    names = set(slugs())
    for path in FILES:
        if place(path).startswith("parts."):
            words = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
            assert not words & names, f"{place(path)} names {words & names}"


def test_importing_the_package_is_light_and_opens_no_socket():
    code = (
        "import socket, sys, time\n"
        "def refuse(*a, **k): raise RuntimeError('a socket was opened')\n"
        "socket.socket.connect = refuse\n"
        "import unmask\n"
        "heavy = {'torchvision', 'matplotlib', 'sklearn', 'pyarrow', 'timm', 'transformers', 'accelerate'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
