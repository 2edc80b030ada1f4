"""The demonstration: Self-Guided MAE on handwritten digits, measured beside the untrained network, with a report."""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unmask.api import evaluate, pretrain, resume
from unmask.app.report import write_report
from unmask.evaluate.report import Report
from unmask.train.stopping import Stopped

METHOD, TRAINED, UNTRAINED = "self_guided_mae", "Self-Guided MAE", "untrained"
STEPS = 600  # about two minutes on two cores
LOOKS = 4  # times that pictures and held-out numbers are made on the way
SETTINGS = {
    "model": "96x4x3",
    "image_size": 16,  # the digits have 8x8 pixels; enlarged, a patch of 2x2 is one of them
    "patch_size": 2,
    "decoder_width": 64,
    "decoder_depth": 1,
    "decoder_heads": 4,
}
NOTE = (
    "Digits this small are easy to tell apart by their pixels alone, so raw pixels are hard to beat here.\n"
    "What to look at is the step from the untrained network to the trained one, which saw no label."
)


def demo(
    out: str | Path = "runs/demo", steps: int = STEPS, say: Callable[[str], None] = print, **settings: Any
) -> Path:
    """Pretrains on the built-in digits, evaluates, writes report.html and returns its path.

    Called again with the same `out`, it goes on where it was. settings: arguments of the method other than the demo's.
    """
    began = time.monotonic()
    reports = {}
    for name, count in ((UNTRAINED, 0), (TRAINED, steps)):
        say(f"\n{name}")
        run = Path(out) / name.lower().replace(" ", "-")
        if (run / "config.json").exists():
            resume(run, say=say)
        else:
            looks = max(1, steps // LOOKS)
            chosen: dict[str, Any] = SETTINGS | settings
            pretrain("digits", run, METHOD, steps=count, batch=128, lr=2e-3, monitor_every=looks, say=say, **chosen)
        reports[name] = evaluate(run, pixels=name == TRAINED)
    measured = {name: report.to_json() for name, report in reports.items()}
    page = write_report(run, measured, Path(out) / "report.html")
    say(f"\n{table(reports)}\n\n{NOTE}\n\n{time.monotonic() - began:.0f} s; report with pictures and curves: {page}")
    return page


def table(reports: Mapping[str, Report]) -> str:
    """Test scores in percent: one row per network, then the baselines; one column per probe."""
    outcomes = {name: report.outcomes for name, report in reports.items()}
    last = list(outcomes.values())[-1]
    scores = {name: [outcome.test for outcome in found] for name, found in outcomes.items()}
    scores |= {"raw pixels": [o.pixels for o in last], "chance": [o.chance for o in last]}
    head = f"{'accuracy in %':<20}" + "".join(f"{outcome.name:>10}" for outcome in last)
    rows = [
        f"{name:<20}" + "".join(f"{'-' if score is None else f'{100 * score:.1f}':>10}" for score in row)
        for name, row in scores.items()
    ]
    return "\n".join([head, *rows])


if __name__ == "__main__":
    try:
        demo(sys.argv[1] if len(sys.argv) > 1 else "runs/demo")
    except Stopped as stop:
        sys.exit(f"{stop}; the same command does so")
