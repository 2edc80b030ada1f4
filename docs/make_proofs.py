"""Writes proofs.md from what the proofs measured: `python docs/make_proofs.py`."""

import json
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("proofs.md")
RESULTS = Path(__file__).parents[1] / "results"
OTHER = {"tests", "arms"}  # beside the results of proofs
HEAD = """# What the proofs showed

Made from `results/*.json` by `make docs`. Every row is an arm, its numbers the mean over seeds and, after ±, the
standard deviation. A claim **holds** where the difference, taken seed by seed, is above 0 (or above what it names) by
more than its standard error; one that is *not seen* stays here as a finding. Accuracies are on the test part, at the
block that is best on validation.
"""
SHOWN = {  # the numbers that are shown, where an arm has them, and how
    "knn": ("kNN", "{:.1%}"),
    "linear": ("linear", "{:.1%}"),
    "few labels": ("few labels", "{:.1%}"),
    "segmentation": ("segmentation", "{:.1%}"),
    "held-out explained_variance": ("explained", "{:.1%}"),
    "nats": ("nats", "{:.2f}"),
    "active units": ("active units", "{:.1f}"),
    "own loss": ("loss on own masks", "{:.3f}"),
}


def proof(result: dict[str, Any]) -> list[str]:
    """One proof: what was run, the arms, the claims, the remarks."""
    numbers = result["numbers"]
    columns = [key for key in SHOWN if all(key in row for row in numbers.values())]
    rows = []
    for name, row in numbers.items():
        epochs = result["arms"][name]["epochs"]
        cells = [
            f"{SHOWN[key][1].format(row[key]['mean'])} ± {SHOWN[key][1].format(row[key]['spread'])}" for key in columns
        ]
        rows.append(f"| {name} | {epochs:g} | {' | '.join(cells)} |")
    claims = [
        f"- {'**holds**' if claim['holds'] else '*not seen*'}: {claim['claim']} ({_difference(claim['numbers'])})"
        for claim in result["claims"]
    ]
    data = result["data"]
    return [
        f"\n## {result['slug']}\n",
        f"`{result['command']}` on {data['name']}, {data['pictures']:,} samples at most, {len(result['seeds'])} seeds,"
        f" {result['machine']}, {result['date']}.\n",
        f"| arm | epochs | {' | '.join(SHOWN[key][0] for key in columns)} |",
        "|---" * (len(columns) + 2) + "|",
        *rows,
        "",
        *claims,
        *(f"\n{note}" for note in result["notes"]),
    ]


def _difference(numbers: dict[str, float]) -> str:
    spread = f" ± {numbers['spread']:.4f}" if "spread" in numbers else ""
    return f"{numbers['mean']:+.4f}{spread}"


def page() -> str:
    """The whole page."""
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json")) if path.stem not in OTHER]
    return "\n".join([HEAD, *(line for result in found for line in proof(result))]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
