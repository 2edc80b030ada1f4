"""The verbs in Python; the command line calls the same functions with the same names and defaults."""

from typing import Any

import unmask
from unmask.app.catalogue import create, methods
from unmask.app.generating import generate
from unmask.app.looking import analyse, embed, inspect, view
from unmask.app.measuring import evaluate, finetune
from unmask.app.runs import load
from unmask.app.steering import steer
from unmask.app.taking import export, info
from unmask.app.training import pretrain, resume
from unmask.proofs.proving import prove

__all__ = [
    "analyse",
    "create",
    "describe",
    "embed",
    "evaluate",
    "export",
    "finetune",
    "generate",
    "info",
    "inspect",
    "load",
    "methods",
    "pretrain",
    "prove",
    "resume",
    "steer",
    "view",
]

unmask.evaluate, unmask.methods = evaluate, methods  # type: ignore[assignment]  # not the folders of these names


def describe(verb: str, result: Any) -> str:
    """What the command line prints of a verb's result; empty where the verb has said it all."""
    if verb in ("inspect", "pretrain", "resume"):
        return ""
    if hasattr(result, "to_text"):
        return result.to_text()
    if verb == "methods" and isinstance(result, list):
        return _table(result)
    if verb == "prove":
        rows = [f"{_verdict(c['holds'])}  {c['claim']}: {_numbers(c['numbers'])}" for c in result["claims"]]
        return "\n".join([*rows, f"written to {', '.join(result['result'])}"])
    if verb == "analyse":
        from unmask.app.analysis import summary

        return summary(result)
    if isinstance(result, dict):
        return "\n".join(_lines(result))
    return str(result)


def _verdict(holds: bool) -> str:
    return "holds   " if holds else "NOT SEEN"


def _numbers(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in numbers.items() if name != "count")


def _lines(result: dict[str, Any], indent: str = "") -> list[str]:
    lines = []
    for name, value in result.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{name}:", *_lines(value, indent + "  ")]
        else:
            text = str(value).replace("\n", f"\n{indent}  ")
            lines.append(f"{indent}{name}: {text}")
    return lines


def _table(rows: list[dict[str, Any]]) -> str:
    header = list(rows[0])
    cells = [header] + [["yes" if v is True else "no" if v is False else str(v) for v in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)
