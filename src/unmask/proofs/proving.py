"""Running the proof of a system by name."""

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unmask.app.catalogue import find
from unmask.proofs.experiment import ARMS, Laboratory, write_result
from unmask.proofs.presets import preset as scale

CACHE = "~/.cache/unmask/proofs"
BUILT_IN = ("digits", "photos")  # data that need no file
DATA = "UNMASK_DATA"  # environment variable: the folder in which proofs find their data


def prove(
    slug: str,
    *,
    data: str | Path | None = None,
    preset: str = "small",
    seeds: int = 3,
    out: str | Path = "results",
    cache: str | Path | None = None,
    device: str = "auto",
    jobs: int = 1,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Runs the small experiment of a system against its baselines and writes results/<slug>.json.

    What was measured of finished arms is kept in the folder `arms` beside the results and shared between proofs; runs
    are kept in the cache, and an interrupted proof goes on where it was. A claim that does not show is written down
    as such. jobs: arms trained at the same time, each with one thread.
    """
    find(slug)
    chosen = scale(preset)
    if seeds < 1:
        raise ValueError(f"{seeds} seeds prove nothing; give at least 3")
    place = Path(data) if data else Path(os.environ.get(DATA, ".")) / chosen.data
    if not place.exists() and str(place) not in BUILT_IN:
        raise FileNotFoundError(
            f"{place} is not there; pass --data, or set {DATA} to the folder that holds {chosen.data}"
        )
    if jobs < 1:
        raise ValueError(f"{jobs} jobs train nothing; give at least 1")
    folders = Path(cache or CACHE).expanduser(), Path(out) / ARMS
    laboratory = Laboratory(place, chosen.limit, chosen.test, *folders, device, say, jobs=jobs)
    findings = importlib.import_module(f"unmask.proofs.{slug}").prove(laboratory, chosen, list(range(seeds)))
    path = write_result(Path(out), slug, preset, laboratory, findings)
    return {
        "result": str(path),
        "proven": all(claim.holds for claim in findings.claims),
        "claims": [vars(claim) for claim in findings.claims],
        "numbers": findings.table(),
    }
