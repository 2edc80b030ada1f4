"""Running the proof of a system by name."""

import importlib
import os
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unmask.app.catalogue import find
from unmask.app.modality import modality_of
from unmask.proofs import studies
from unmask.proofs.experiment import ARMS, Laboratory, write_result
from unmask.proofs.presets import preset as scale

CACHE = "~/.cache/unmask/proofs"
DATA = "UNMASK_DATA"  # environment variable: the folder in which proofs find their data


def prove(
    slug: str | None = None,
    *,
    study: str | None = None,
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

    study: instead of a system's, an experiment over many of them, such as "masks", on every data set that it names.
    What was measured of finished arms is kept in the folder `arms` beside the results and shared between proofs; runs
    are kept in the cache, and an interrupted proof goes on where it was. A claim that does not show is written down
    as such. jobs: arms trained at the same time, each with one thread. Data other than the preset's are named as DATA.
    """
    module = _module(slug, study)
    family = getattr(module, "FAMILY", False)  # pixels are the same for all its members: MAE's proof has them
    chosen = scale(preset, family)
    if seeds < 1:
        raise ValueError(f"{seeds} seeds prove nothing; give at least 3")
    if jobs < 1:
        raise ValueError(f"{jobs} jobs train nothing; give at least 1")
    folders = Path(cache or CACHE).expanduser(), Path(out) / ARMS
    report: dict[str, Any] = {"result": [], "claims": [], "numbers": {}}
    reader = getattr(module, "READER", slug or "mae")  # a method that works on the data that the proof starts from
    for name in getattr(module, "DATA", (chosen.data,)):
        place = _place(data, name, reader)
        sizes = chosen.limit, chosen.test
        laboratory = Laboratory(place, *sizes, *folders, device, say, pixels=not family, jobs=jobs, method=reader)
        findings = module.prove(laboratory, chosen, list(range(seeds)))
        title = slug or f"study-{study}-{place.stem}"
        words = (slug or f"--study {study}") + (f" --data {Path(data).name}" if data else "")
        path = write_result(Path(out), title, preset, laboratory, findings, words)
        report["result"].append(str(path))
        report["claims"] += [vars(claim) for claim in findings.claims]
        report["numbers"][title] = findings.table()
    return {**report, "proven": all(claim["holds"] for claim in report["claims"])}


def _module(slug: str | None, study: str | None) -> Any:
    """The file of the experiment. Raises ValueError where none, or both, are named, or it is not there."""
    if (slug is None) == (study is None):
        raise ValueError("name one system, or one study with --study")
    if slug is not None:
        find(slug)
        return importlib.import_module(f"unmask.proofs.{slug}")
    known = sorted(module.name for module in pkgutil.iter_modules(studies.__path__))
    if study not in known:
        raise ValueError(f"study {study!r} is unknown; choose one of {', '.join(known)}")
    return importlib.import_module(f"unmask.proofs.studies.{study}")


def _place(data: str | Path | None, name: str, slug: str) -> Path:
    """Where the data are: the named place, or `name` in the folder of the environment variable, if it is a file.

    A name such as "moving:photos.tar" says what is made of a file.
    """
    no_file = getattr(modality_of(slug), "BUILT_IN", ())
    if not data and name.partition(":")[0] in no_file:
        return Path(name)
    made, _, file = name.rpartition(":")
    place = Path(data) if data else Path(os.environ.get(DATA, ".")) / file
    if not place.exists() and str(place).partition(":")[0] not in no_file:
        raise FileNotFoundError(f"{place} is not there; pass --data, or set {DATA} to the folder that holds {file}")
    return Path(f"{made}:{place}") if made else place
