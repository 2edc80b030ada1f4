"""Collections for retrieval: documents, queries, and which documents answer which query."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LAYOUT = "a folder with corpus.jsonl, queries.jsonl and qrels.tsv (or qrels/test.tsv)"
JUDGEMENTS = ("qrels.tsv", "qrels/test.tsv")
NAMES = ("_id", "id")  # of documents and queries, in BEIR's files and in others


@dataclass(frozen=True)
class Collection:
    """Texts by name, and grades by query and document; 0 marks what must not be counted either way."""

    documents: dict[str, str]
    queries: dict[str, str]
    grades: dict[str, dict[str, int]]


def read_collection(folder: str | Path) -> Collection:
    """Raises ValueError with one sentence where a file is missing or does not fit the others."""
    place = Path(folder)
    judgements = next((place / name for name in JUDGEMENTS if (place / name).is_file()), None)
    if judgements is None or not all((place / f"{name}.jsonl").is_file() for name in ("corpus", "queries")):
        raise ValueError(f"{place} is no collection for retrieval; DATA is {LAYOUT}")
    documents, queries = (dict(_texts(place / f"{name}.jsonl")) for name in ("corpus", "queries"))
    grades: dict[str, dict[str, int]] = {}
    with judgements.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.reader(file, delimiter="\t"), start=1):
            if number == 1 and row and not row[-1].lstrip("-").isdigit():
                continue
            if len(row) < 3 or not row[-1].lstrip("-").isdigit():
                raise ValueError(f"line {number} of {judgements} is not query, document and grade, parted by tabs")
            query, document = row[0], row[-2]
            if query not in queries or document not in documents:
                unknown = f"query {query!r}" if query not in queries else f"document {document!r}"
                raise ValueError(f"line {number} of {judgements} names {unknown}, which is not there")
            grades.setdefault(query, {})[document] = int(row[-1])
    if not any(grade > 0 for row in grades.values() for grade in row.values()):
        raise ValueError(f"{judgements} names no document that answers a query")
    return Collection(documents, queries, grades)


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    """Name and text of every line; a title that the text does not begin with stands before it."""
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            name = next(str(row[key]) for key in NAMES if key in row)
            text = str(row["text"])
        except (json.JSONDecodeError, StopIteration, KeyError, TypeError):
            raise ValueError(f'line {number} of {path} is not JSON like {{"id": "1", "text": "..."}}') from None
        title = str(row.get("title") or "").strip()
        yield name, text if text.startswith(title) else f"{title} {text}"
