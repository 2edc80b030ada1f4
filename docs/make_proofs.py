"""Writes proofs.md from what the proofs measured: `python docs/make_proofs.py`."""

import json
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("proofs.md")
RESULTS = Path(__file__).parents[1] / "results"
IMAGES = PAGE.with_name("images")
OTHER = {"tests", "arms"}  # beside the results of proofs
STUDY = "study-"
KEPT = {  # parts of a result that are shown in their own way, or not at all
    *("slug", "preset", "command", "date", "machine", "system", "versions", "data", "seeds"),
    *("arms", "numbers", "claims", "notes"),
}
HEAD = """# What the proofs showed

Made from `results/*.json` by `make docs`. Every row is an arm, its numbers the mean over seeds and, after ±, the
standard deviation. A claim **holds** where the difference, taken seed by seed, is above 0 (or above what it names) by
Student's one-sided t test at 95 %; one that is *not seen* stays here as a finding. Each is tested by itself: of twenty
that are not so, one would hold by chance. Accuracies are on the test part, at the block that is best on validation.
"""
PLAIN = "{:.3g}"
ASIDE = ("seconds", "pixels ", "held-out ")  # numbers that begin so are left out, unless they are in SHOWN
SHOWN = {  # how numbers are shown that are no plain ones
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
    columns = columns_of(numbers)
    rows = []
    for name, row in numbers.items():
        cells = [_cell(key, row[key]) if key in row else "" for key in columns]
        rows.append(f"| {name} | {result['arms'][name]['epochs']:g} | {' | '.join(cells)} |")
    claims = [
        f"- {'**holds**' if claim['holds'] else '*not seen*'}: {claim['claim']} ({_difference(claim['numbers'])})"
        for claim in result["claims"]
    ]
    data = result["data"]
    return [
        f"\n## {result['slug']}\n",
        f"`{result['command']}` on {data['name']}, {data['pictures']:,} samples at most, {len(result['seeds'])} seeds,"
        f" {result['machine']}, {result['date']}.\n",
        f"| arm | epochs | {' | '.join(SHOWN.get(key, (key,))[0] for key in columns)} |",
        "|---" * (len(columns) + 2) + "|",
        *rows,
        "",
        *claims,
        *besides(result),
        *picture(result),
        *(f"\n{note}" for note in result["notes"]),
    ]


def columns_of(numbers: dict[str, Any]) -> list[str]:
    """The numbers that any arm has: the usual ones first, then the proof's own."""
    found = list(dict.fromkeys(key for row in numbers.values() for key in row))
    own = [key for key in found if key not in SHOWN and not key.startswith(ASIDE)]
    return [key for key in SHOWN if key in found] + own


def _cell(key: str, number: dict[str, float]) -> str:
    form = SHOWN.get(key, (key, PLAIN))[1]
    return f"{form.format(number['mean'])} ± {form.format(number['spread'])}"


def besides(result: dict[str, Any]) -> list[str]:
    """What was measured without a claim, such as costs."""
    found = {key: value for key, value in result.items() if key not in KEPT}
    rows = [f"- {key}: {words}" for key, value in found.items() if (words := _words(value))]
    return ["\nMeasured besides:\n", *rows] if rows else []


def _words(value: Any) -> str:
    """A number, a difference, or numbers by name; nothing for what is no line of text."""
    if isinstance(value, bool) or value is None or isinstance(value, (list, str)):
        return ""
    if not isinstance(value, dict):
        return f"{value:.4g}"
    if "spread" in value:
        return f"{value['mean']:.4f} ± {value['spread']:.4f}"
    parts = {key: _words(entry) for key, entry in value.items()}
    return ", ".join(f"{key} {words}" for key, words in parts.items() if words)


def picture(result: dict[str, Any]) -> list[str]:
    """The proof's own picture, or a study's plot: for every number the arms in a row, mean and spread, the first one as
    a line."""
    if (own := RESULTS / f"{result['slug']}.png").exists():
        return [f"\n![{result['slug']}: what the proof drew](../results/{own.name})"]
    if not result["slug"].startswith(STUDY):
        return []
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    numbers = result["numbers"]
    columns = [key for key in SHOWN if all(key in row for row in numbers.values())]
    figure, axes = plt.subplots(1, len(columns), figsize=(2.6 * len(columns), 0.3 * len(numbers) + 1.2), sharey=True)
    places = range(len(numbers))
    for axis, key in zip(axes, columns, strict=True):
        rows = [row[key] for row in numbers.values()]
        axis.errorbar([r["mean"] for r in rows], places, xerr=[r["spread"] for r in rows], fmt="o", markersize=4)
        axis.axvline(rows[0]["mean"], color="0.7", linewidth=1, zorder=0)
        axis.set_title(SHOWN[key][0], fontsize=9)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(places, list(numbers), fontsize=8)
    axes[0].invert_yaxis()
    IMAGES.mkdir(exist_ok=True)
    figure.savefig(IMAGES / f"{result['slug']}.png", dpi=120, bbox_inches="tight")
    plt.close(figure)
    return [f"\n![{result['slug']}: every arm's mean and spread](images/{result['slug']}.png)"]


def _difference(numbers: dict[str, float]) -> str:
    if "mean" not in numbers:
        return _words(numbers)
    spread = f" ± {numbers['spread']:.4f}" if "spread" in numbers else ""
    return f"{numbers['mean']:+.4f}{spread}"


def page() -> str:
    """The whole page."""
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json")) if path.stem not in OTHER]
    return "\n".join([HEAD, *(line for result in found for line in proof(result))]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
