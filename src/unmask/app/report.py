"""The report of a run: one HTML file that needs nothing else."""

import base64
import io
import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from unmask.app.curves import loss_curve
from unmask.app.modality import modality_of
from unmask.app.runs import Config, read_card, read_config
from unmask.data.protocols import Facts
from unmask.evaluate.monitor import advice
from unmask.train.checkpoint import write_atomically
from unmask.train.trackers import LOG, redact

PICTURES = 6  # most reconstruction pictures shown, spread evenly over the training
SENTINEL = "#010203"  # ink of the curves, replaced by the colour of the page's text
STYLE = """
:root { color-scheme: light dark; --ink: #1c1f24; --paper: #ffffff; --soft: #f2f4f7; --line: #d8dce2; --mark: #3b7dd8 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e6ea; --paper: #15171b; --soft: #1f2228; --line: #363b44; --mark: #7fb0f0 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 72rem;
  margin: 2rem auto; padding: 0 1.2rem }
h1 { font-size: 1.7rem; margin-bottom: .2rem } h2 { font-size: 1.2rem; margin-top: 2.4rem } h3 { font-size: 1rem }
.advice { border-left: 4px solid var(--mark); background: var(--soft); padding: .8rem 1rem; font-size: 1.05rem }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 0 2.5rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .9rem; margin: .4rem 0 }
th, td { text-align: left; vertical-align: top; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--line) }
th { font-weight: 600 } td { overflow-wrap: anywhere; font-variant-numeric: tabular-nums }
figure { margin: 1.2rem 0 } figure img { max-width: 100%; border-radius: 4px; background: #fff }
figcaption, .note { font-size: .85rem; opacity: .8 }
svg { max-width: 100%; height: auto }
pre { background: var(--soft); padding: .8rem 1rem; overflow-x: auto; font-size: .88rem }
"""


def write_report(
    run_folder: str | Path, evaluation: Mapping[str, Any] | None = None, out: str | Path | None = None
) -> Path:
    """Writes what a run was, how it went and what it is good for; returns the file, by default RUN/report.html.

    evaluation: what an evaluation's `to_json` gives, or several by name, such as "this run" and "untrained"; default:
    RUN/evaluation.json, if it is there. The file is replaced as a whole.
    """
    run = Path(run_folder)
    config, card = read_config(run), read_card(run)
    rows = read_log(run / LOG)
    if evaluation is None and (run / "evaluation.json").is_file():
        evaluation = json.loads((run / "evaluation.json").read_text())
    title = f"{config.method} on {Path(card.origin).name or card.origin}"
    sections = [
        f"<h1>{escape(redact(title))}</h1><p class=note>{_summary(config, card, rows)}</p>",
        f"<p class=advice>{escape(advice(rows, modality_of(config.method, config.kind).NOUN))}</p>" if rows else "",
        _section("What was trained on what", _trained(config, card)),
        _section("Did it learn?", _curves(rows)),
        _section("What it predicts", _pictures(run / "pictures")),
        _section("What the features are worth", _evaluation(evaluation)),
        _section("Use the encoder", _use(run, config)),
    ]
    page = (
        '<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">'
        f"<title>{escape(redact(title))}</title><style>{STYLE}</style><body>{''.join(sections)}</body></html>\n"
    )
    out = Path(out or run / "report.html")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, [page.encode()])
    return out


def read_log(path: Path) -> list[dict[str, Any]]:
    """The rows of a log in order; a line that was cut off by a kill is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def _section(title: str, body: str) -> str:
    return f"<h2>{escape(title)}</h2>{body}"


def _summary(config: Config, card: Facts, rows: list[dict]) -> str:
    noun = modality_of(config.method, config.kind).NOUN
    done = max((row.get("step", 0) for row in rows), default=0)
    return escape(
        f"{done:,} of {config.plan.get('steps', done):,} steps of {config.plan.get('batch', '?')} {noun}, "
        f"{card.count:,} {noun} in the data set, unmask {config.versions.get('unmask', '?')}"
    )


def _trained(config: Config, card: Facts) -> str:
    facts, table = modality_of(config.method, config.kind).described(card)
    method = {"method": config.method, **config.settings}
    return (
        f"<div class=sides><div><h3>Method</h3>{_value(redact(method))}<h3>Training</h3>{_value(redact(config.plan))}"
        f"</div><div><h3>Data</h3>{_value(redact(facts))}{_value(table)}"
        f"<h3>How it was read</h3>{_value(redact(config.data))}"
        f"<h3>Versions</h3>{_value(redact(config.versions))}</div></div>"
    )


def _curves(rows: list[dict]) -> str:
    if not rows:
        return "<p>Nothing has been logged yet.</p>"
    from matplotlib import rc_context

    text = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "unmask"}):
        loss_curve(rows, ink=SENTINEL).savefig(text, format="svg", transparent=True, metadata={"Date": None})
    drawing = text.getvalue()
    return (
        f"<div class=wide>{drawing[drawing.index('<svg') :].replace(SENTINEL, 'currentColor')}</div>"
        "<p class=note>Explained variance is 1 - loss / variance of the target. The dashed lines are predictions that "
        "need no learning, under the same masks and in the same target space, each scaled by the factor that serves "
        "it best: a network below them has understood nothing yet.</p>"
    )


def _pictures(folder: Path) -> str:
    files = sorted(folder.glob("*.png")) if folder.is_dir() else []
    if not files:
        return "<p>No pictures were drawn.</p>"
    count = min(PICTURES, len(files))
    chosen = [files[round(i * (len(files) - 1) / max(count - 1, 1))] for i in range(count)]
    figures = []
    for file in reversed(chosen):
        image = base64.b64encode(file.read_bytes()).decode()
        name = escape(_caption(file.stem))
        figures.append(
            f'<figure><img alt="{name}" src="data:image/png;base64,{image}"><figcaption>{name}</figcaption></figure>'
        )
    return "<p class=note>The newest first.</p>" + "".join(figures)


def _caption(stem: str) -> str:
    """step-00000300 as "step 300"; other names as they are."""
    word, _, number = stem.rpartition("-")
    return f"{word} {int(number):,}" if word and number.isdigit() else stem


def _evaluation(evaluation: Mapping[str, Any] | None) -> str:
    if not evaluation:
        return "<p>Not evaluated yet: <code>unmask evaluate</code> measures the features on labelled data.</p>"
    found = redact(evaluation)
    reports = {"this run": found} if "outcomes" in found else found
    if not all(isinstance(report, Mapping) and "outcomes" in report for report in reports.values()):
        return f"<div class=wide>{_value(found)}</div>"
    first = next(iter(reports.values()))
    said = [f"usual for {first['title']}: {first['usual']}" if first.get("usual") else "", first.get("note") or ""]
    notes = "".join(f"<p class=note>{escape(words)}</p>" for words in said if words)
    measured = "".join(_measured(title, name, text) for title, r in reports.items() for name, text in _texts(r))
    if not any(report["outcomes"] for report in reports.values()):
        return f"<div class=wide>{measured}</div>{notes}"
    probes = f"{_table(_tests(reports))}<h3>Validation, after each block</h3>{_blocks(reports)}"
    return f"<div class=wide>{probes}{measured}</div>{notes}"


def _texts(report: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    return report.get("texts", {}).items()


def _measured(title: str, name: str, text: str) -> str:
    """What a measure other than a probe found, as `evaluate` prints it."""
    return f"<h3>{escape(name.capitalize())}, {escape(title)}</h3><pre>{escape(text)}</pre>"


def _tests(reports: Mapping[str, Any]) -> list[dict[str, str]]:
    """One row per probe: the test scores of every report, then the baselines."""
    rows: dict[str, dict[str, str]] = {}
    baselines: dict[str, dict[str, str]] = {}
    for title, report in reports.items():
        for outcome in report["outcomes"]:
            row = rows.setdefault(outcome["name"], {"probe": outcome["name"], "score": outcome["metric"]})
            row[title] = f"{_percent(outcome['test'], outcome['spread'])} (block {outcome['best']})"
            beside = baselines.setdefault(outcome["name"], {})
            if outcome["pixels"] is not None:
                beside["raw pixels"] = _percent(outcome["pixels"])
            if report.get("chance") is not None and outcome["metric"] == "accuracy":
                beside["chance"] = _percent(report["chance"])
    return [row | baselines[name] for name, row in rows.items()]


def _blocks(reports: Mapping[str, Any]) -> str:
    rows = []
    for title, report in reports.items():
        for outcome in report["outcomes"]:
            scores = {str(block): _percent(score) for block, score in outcome["validation"].items()}
            rows.append({"probe": outcome["name"], "of": title, **scores})
    return _table(rows)


def _percent(share: float, spread: float = 0.0) -> str:
    return f"{100 * share:.1f}" + (f" ± {100 * spread:.1f}" if spread else "") + " %"


def _use(run: Path, config: Config) -> str:
    folder = shlex.quote(redact(str(run)))
    data = shlex.quote(redact(str(config.data.get("spec", "DATA"))))
    kind = modality_of(config.method, config.kind)
    key, meaning = kind.INPUT
    commands = "\n".join("unmask " + line.format(run=folder, data=data) for line in kind.USAGE)
    python = (
        f"import unmask\n\nrun = unmask.load({str(redact(str(run)))!r})\nfeatures = run.features({{{key!r}: {key}}})"
    )
    note = f"{key}: {meaning}; features.pooled, .tokens, .blocks"
    return f"<pre>{escape(commands)}</pre><pre>{escape(python)}  # {escape(note)}</pre>"


def _value(value: Any) -> str:
    """Any JSON value as HTML: dictionaries and lists of dictionaries as tables, the rest as text."""
    if isinstance(value, Mapping) and value and all(isinstance(entry, Mapping) for entry in value.values()):
        return _table([{"": name, **entry} for name, entry in value.items()])
    if isinstance(value, Mapping):
        lines = [f"<tr><th>{escape(str(k))}</th><td>{_value(v)}</td></tr>" for k, v in value.items()]
        return f"<table>{''.join(lines)}</table>" if lines else "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        if value and all(isinstance(entry, Mapping) for entry in value):
            return _table(value)
        return ", ".join(_value(entry) for entry in value) or "none"
    return escape(_number(value) if isinstance(value, int | float) else "none" if value is None else str(value))


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["".join(f"<th>{escape(str(name))}</th>" for name in names)]
    lines += ["".join(f"<td>{_value(row.get(name, ''))}</td>" for name in names) for row in rows]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _number(value: float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return f"{value:.4g}" if math.isfinite(value) else str(value)
