"""Fills the tables of docs/speed.md from benchmarks/results, and draws its picture: python benchmarks/report.py."""

import json
import re
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "speed.md"
PICTURE = PAGE.parent / "images" / "step_speed.png"


def result(name: str) -> dict | None:
    """A result by name, or None where it was not measured."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def steps() -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob("step_*.json"))]


def setting(report: dict) -> str:
    options = report["options"]
    return f"{options['model']}, batch {options['batch']}, {options['precision']}"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) if rows else "Not measured yet."


def spread(row: dict, key: str, form: str = "{:.2f}x") -> str:
    low, high = (form.format(row[end]) for end in ("lowest", "highest"))
    return f"{form.format(row[key])} ({low} to {high})"


def step_table() -> str:
    rows = [
        [
            setting(report),
            name,
            f"{arm['pictures per second']:.1f}",
            f"{arm['share of matmul peak']:.0%}",
            f"{arm['memory, GB']:.2f} GB",
            "" if name == "unmask" else spread(arm, "time relative to unmask"),
        ]
        for report in steps()
        for name, arm in report["arms"].items()
    ]
    head = ["setting", "", "pictures/s", "of the measured matmul peak", "peak memory", "its time, unmask being 1"]
    return table(head, rows)


def parts_table() -> str:
    names = ("attention", "products", "optimiser", "rest")
    rows = [
        [setting(report), name, *(f"{arm['parts'][part]:.0%}" for part in names)]
        for report in steps()
        for name, arm in report["arms"].items()
        if arm.get("parts")
    ]
    return table(["setting", "", *names], rows)


def guided_table() -> str:
    rows = []
    for precision in ("fp32", "bf16"):
        report = result(f"guided_step_{precision}")
        for name, arm in (report or {"arms": {}})["arms"].items():
            if name != "plain":
                rows.append([f"{name}, {precision}", spread(arm, "ratio") + " the time of a plain step"])
    cut = result("normalised_cut")
    for name, row in (cut or {"speed": {}})["speed"].items():
        rows.append([f"cut, {name}", f"{row['images/s']:.0f} images/s"])
    for name, row in (cut or {"agreement": {}})["agreement"].items():
        rows.append([f"patches on the side of the exact cut, {name}", f"{row['mean']:.1%}"])
    return table(["what", "measured"], rows)


def loader_table() -> str:
    report = result("loader") or {"sets": {}}
    rows = [
        [
            f"{found['pictures']} pictures of {found['size'][1]}x{found['size'][0]}",
            name,
            f"{arm['pictures_per_second']:.0f}",
            spread(arm, "ratio"),
        ]
        for found in report["sets"].values()
        for name, arm in found["arms"].items()
    ]
    return table(["data", "", "pictures/s per core", "relative to the first"], rows)


def rest_table() -> str:
    rows = []
    processes = result("processes")
    if processes:
        for name, words in (
            ("machine", "two trainings at once, one thread each, against twice one alone"),
            ("loop", "one training of two processes against two that know nothing of each other"),
        ):
            rows.append([words, spread(processes[name], "efficiency", "{:.0%}")])
    memory = result("evaluation_memory")
    for name, found in (memory or {"probes": {}})["probes"].items():
        size = memory["options"]  # type: ignore[index]
        what = f"{name}, {size['rows']:,} x {size['width']} features and {size['test']:,} to classify"
        rows.append([what, f"{found['seconds']:.0f} s, {found['megabytes']:.0f} MB beyond the table on disk"])
    return table(["what", "measured"], rows)


def masks_table() -> str:
    found = (result("masks") or {"masks": {}})["masks"]
    rows = [[f"`--mask {word}`", spread(row, "share", "{:.1%}")] for word, row in found.items()]
    return table(["mask", "choosing it takes, of a plain step"], rows)


def growth_table() -> str:
    rows = [
        [
            arm["change"],
            str(arm["tokens"]),
            f"{arm['pictures per second']:.1f}",
            spread(arm, "ratio"),
            f"{arm['pictures per day'] / 1e6:.2f} million",
        ]
        for arm in (result("growth") or {"arms": []})["arms"]
    ]
    return table(["changed", "patches", "pictures/s", "time of a step", "pictures in a day"], rows)


def draw() -> None:
    """Pictures per second per setting and arm, as bars."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    found = steps()
    if not found:
        return
    names = list(dict.fromkeys(name for report in found for name in report["arms"]))
    figure, axes = plt.subplots(figsize=(8, 3.2))
    wide = 0.8 / len(names)
    for k, name in enumerate(names):
        places = [i + (k - (len(names) - 1) / 2) * wide for i, r in enumerate(found) if name in r["arms"]]
        rates = [r["arms"][name]["pictures per second"] for r in found if name in r["arms"]]
        axes.bar(places, rates, 0.95 * wide, label=name)
    axes.set_xticks(range(len(found)), [setting(r).replace(", ", "\n") for r in found])
    axes.set_ylabel("pictures per second")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=150)


def main() -> None:
    tables = {
        "step": step_table,
        "parts": parts_table,
        "guided": guided_table,
        "loader": loader_table,
        "growth": growth_table,
        "masks": masks_table,
        "rest": rest_table,
    }
    page = PAGE.read_text()
    for name, make in tables.items():
        marks = f"<!-- {name} -->", f"<!-- /{name} -->"
        page = re.sub(f"{marks[0]}.*?{marks[1]}", lambda _: f"{marks[0]}\n\n{make()}\n\n{marks[1]}", page, flags=re.S)  # noqa: B023
    PAGE.write_text(page)
    draw()


if __name__ == "__main__":
    main()
