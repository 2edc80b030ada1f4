"""The names and sizes a run was started with, to tell what changed when its data set is another one."""

import gzip
import json
from pathlib import Path

from unmask.data.source import Source

SHOWN = 5


def write_listing(source: Source, path: Path) -> None:
    """One JSON row [name, bytes] a line, compressed."""
    with gzip.open(path, "wt", encoding="ascii") as file:
        for item in source.items:
            file.write(json.dumps([item.name, item.size]) + "\n")


def changes(source: Source, path: Path) -> str:
    """What is different from the written listing, with counts and up to five names each; "" when nothing is."""
    with gzip.open(path, "rt", encoding="ascii") as file:
        before = dict(json.loads(line) for line in file)
    now = {item.name: item.size for item in source.items}
    kinds = {
        "added": sorted(now.keys() - before.keys()),
        "removed": sorted(before.keys() - now.keys()),
        "of another size": sorted(name for name in now.keys() & before.keys() if now[name] != before[name]),
    }
    return "; ".join(f"{len(names)} {kind} ({_shown(names)})" for kind, names in kinds.items() if names)


def _shown(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
