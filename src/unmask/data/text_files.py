"""Files of text: .txt files, lines of JSON, folders and archives of them, as named documents."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unmask.data.files import folder_files
from unmask.data.names import label_of, split_of
from unmask.data.tar import members

SUFFIXES = (".txt", ".jsonl")
LAYOUTS = "a .txt or .jsonl file, or a folder or .tar of them"
FIELD = "text"  # of a line of JSON; FILE.jsonl::NAME takes another
NAMES = ("id", "_id", "name", "docid")  # fields of a line that may say what the document is called
LARGEST = 1 << 31  # bytes of one file


@dataclass(frozen=True)
class Document:
    """One text. fault: why it cannot be used, "" if it can."""

    name: str
    text: str
    label: str | None = None
    split: str | None = None
    fault: str = ""


def holds_text(spec: str | Path) -> bool:
    """Whether DATA is text and not, say, pictures, by the names of the files."""
    base = Path(str(spec).partition("::")[0])
    if base.is_dir():
        return any(_is_text(name) for name in folder_files(base, {}))
    if base.suffix.lower() == ".tar" and base.is_file():
        return any(_is_text(member.name) for member in members(base))
    return base.suffix.lower() in SUFFIXES


def read_documents(spec: str | Path) -> list[Document]:
    """All documents that `spec` names, in the order of the names. Those that cannot be used say why.

    A .txt file is one document, a line of a .jsonl file is one. Folders are labels and, like file names, parts.
    """
    base, _, field = str(spec).partition("::")
    path = Path(base)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; DATA is {LAYOUTS}")
    if path.is_file() and path.suffix.lower() != ".tar":
        if not _is_text(path.name):
            raise ValueError(f"{path} is not a kind of file that holds text; DATA is {LAYOUTS}")
        found = list(_documents(path.name, path.read_bytes(), field or FIELD, {}))
    else:
        files = dict(_archived(path) if path.is_file() else _below(path))
        if not files:
            raise ValueError(f"{path} holds no text; DATA is {LAYOUTS}")
        facts = _of_names(list(files))
        found = [
            document
            for name in sorted(files)
            for document in _documents(name, _bytes(*files[name]), field or FIELD, facts[name])
        ]
    if not found:
        raise ValueError(f"{path} is empty; text is needed")
    return found


def _is_text(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.rpartition("/")[2].startswith(".")


def _below(folder: Path) -> Iterator[tuple[str, tuple[Path, int, int]]]:
    for name, size in folder_files(folder, {}).items():
        if _is_text(name):
            yield name, (folder / name, 0, size)


def _archived(path: Path) -> Iterator[tuple[str, tuple[Path, int, int]]]:
    for member in members(path):
        if _is_text(member.name) and not member.refused:
            yield member.name, (path, member.start, member.size)


def _bytes(path: Path, start: int, size: int) -> bytes:
    if size > LARGEST:
        raise ValueError(f"{path} has {size:,} bytes in one file, too many to be read at once; divide it")
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)


def _of_names(names: list[str]) -> dict[str, dict[str, str | None]]:
    """Label and part of every file: folders are labels where there are two, folders or file names are parts."""
    folders = {name: name.rpartition("/")[0] for name in names}
    labels = {name: label_of(folder) for name, folder in folders.items()}
    several = len({label for label in labels.values() if label}) > 1
    return {
        name: {
            "label": labels[name] if several else None,
            "split": split_of(folders[name]) or split_of(name.rpartition("/")[2].partition(".")[0]),
        }
        for name in names
    }


def _documents(name: str, data: bytes, field: str, facts: dict[str, str | None]) -> Iterator[Document]:
    if name.lower().endswith(".txt"):
        text, fault = _decoded(data)
        yield Document(name, text, fault=fault or _empty(text), **facts)
        return
    rows = [line for line in data.splitlines() if line.strip()]
    digits = len(str(len(rows)))
    for number, line in enumerate(rows):
        yield _row(f"{name}[{number:0{digits}d}]", name, line, field, facts)


def _row(name: str, file: str, line: bytes, field: str, facts: dict[str, str | None]) -> Document:
    """The document in one line of JSON; raises ValueError where it lacks the field, for then all may."""
    text, fault = _decoded(line)
    if fault:
        return Document(name, "", fault=fault, **facts)
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        return Document(name, "", fault=f"is not a line of JSON: {error.msg}", **facts)
    if not isinstance(row, dict):
        return Document(name, "", fault="is not an object of JSON", **facts)
    if field not in row:
        raise ValueError(
            f"{name} has no field {field!r}; it has {', '.join(map(str, row))}; name the one with the text by"
            f" {Path(file).name}::FIELD"
        )
    called = next((f"{file}[{row[key]}]" for key in NAMES if isinstance(row.get(key), (str, int))), name)
    facts = {**facts, **{key: str(row[key]) for key in ("label", "split") if isinstance(row.get(key), (str, int))}}
    text = row[field].encode("utf-8", "replace").decode() if isinstance(row[field], str) else ""
    fault = _empty(text) if isinstance(row[field], str) else f"has no text: {field} is {row[field]!r:.40}"
    return Document(called, text, facts.get("label"), split_of(facts.get("split") or "") or facts.get("split"), fault)


def _decoded(data: bytes) -> tuple[str, str]:
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        return "", f"is not text in UTF-8: byte {error.start} is {data[error.start]:#04x}"


def _empty(text: str) -> str:
    return "" if text.strip() else "is empty"
