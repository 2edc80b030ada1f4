"""Shapes in signatures are checked at run time in every test, and what was tested is written down as evidence."""

import json
from collections import defaultdict
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("unmask", "shape_checks.check")
torch.set_num_threads(1)

EVIDENCE = Path(__file__).parents[1] / "results" / "tests.json"
CLAIMS = ("works", "faithful")


def pytest_addoption(parser):
    parser.addoption("--evidence", action="store_true", help="write results/tests.json from the marked tests")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Notes which claims a test speaks for; the note travels with the report, also from worker processes."""
    outcome = yield
    marks = [(claim, mark.args[0]) for claim in CLAIMS for mark in item.iter_markers(claim)]
    outcome.get_result().user_properties += [("claim", mark) for mark in marks]


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("--evidence"):
        return
    from unmask.app.catalogue import slugs, source_hash

    counts: dict = defaultdict(lambda: {claim: {"passed": 0, "failed": 0} for claim in CLAIMS})
    for result in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(result, []):
            if result == "passed" and report.when != "call":
                continue
            for _, (claim, slug) in (p for p in report.user_properties if p[0] == "claim"):
                counts[slug][claim]["passed" if result == "passed" else "failed"] += 1
    EVIDENCE.parent.mkdir(exist_ok=True)
    found = {slug: {"source": source_hash(slug), **counts[slug]} for slug in slugs()}
    EVIDENCE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    terminalreporter.write_line(f"evidence written to {EVIDENCE.relative_to(EVIDENCE.parents[1])}")
