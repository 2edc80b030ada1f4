"""Forecasting with the network of a run: the windows, and what is measured on them."""

from pathlib import Path
from typing import Any

from unmask.app.catalogue import complete
from unmask.app.measure import Asked, Measured
from unmask.app.modalities.series import measure as measure_series
from unmask.app.modality import modality_of
from unmask.app.runs import Loaded
from unmask.app.watching import spread
from unmask.data.evaluation import EvaluationBatches, evaluation_batches
from unmask.data.series import PARTS, SeriesSource, open_series
from unmask.data.series_card import SeriesCard
from unmask.data.series_views import SeriesView
from unmask.data.source import Source
from unmask.evaluate.forecasting import forecasting

NAME = "forecasting"
HORIZON = 96  # rows that papers forecast first
BATCH = 64


def measure(loaded: Loaded, asked: Asked, *, horizon: int = HORIZON) -> Measured:
    """Errors of forecasts of the next `horizon` rows on all test windows.

    Other series than the run's own are standardised by their own training rows.
    """
    kind = modality_of(loaded.config.method, loaded.config.kind)
    if NAME not in kind.PROBES:
        raise ValueError(f"{loaded.config.method} works on {kind.NOUN}; forecasting needs a method for time series")
    source, card = windows(loaded, asked.data, horizon)
    parts = parts_of(source, asked.limit)
    batches = {name: batches_of_part(part, card, loaded) for name, part in parts.items()}
    scores = forecasting(loaded.method, batches["train"], batches["validation"], batches["test"], asked.device)
    faults = {name: reason for part in batches.values() for name, reason in part.faults.items()}
    found = {"horizon": horizon, "windows": len(parts["test"]), "scores": scores}
    return Measured(found, _table(found), faults)


def _table(found: dict[str, Any]) -> str:
    head = f"the next {found['horizon']} rows of {found['windows']:,} test windows, on the standardised scale"
    rows = [f"{name:24}{s['mse']:>9.4f}{s['mae']:>9.4f}" for name, s in found["scores"].items()]
    return "\n".join([head, f"{'':24}{'MSE':>9}{'MAE':>9}", *rows])


def windows(loaded: Loaded, data: str | Path | None, horizon: int) -> tuple[SeriesSource, SeriesCard]:
    """Windows of the run's length with the rows to forecast, and the card that standardises them."""
    if horizon < 1:
        raise ValueError(f"horizon {horizon} forecasts nothing; give at least 1")
    config = loaded.config
    spec = config.data["spec"] if data is None else data
    length = complete(config.method, config.settings)["length"]
    source = open_series(spec, length, horizon, config.data["channels"] if data is None else None)
    return source, loaded.card if data is None else measure_series(source)


def parts_of(source: SeriesSource, limit: int | None = None) -> dict[str, Source]:
    """The windows of every part, or at most `limit` of them. Raises ValueError where a part has none."""
    found = source.splits()
    for name in PARTS:
        if name not in found:
            raise ValueError(
                f"{source.origin} has no {name} windows of {source.length} rows and {source.horizon} more; set a"
                " smaller horizon"
            )
    parts: dict[str, Source] = {name: source.subset(found[name]) for name in PARTS}
    return parts if limit is None else {name: spread(part, limit) for name, part in parts.items()}


def batches_of_part(part: Source, card: SeriesCard, loaded: Loaded, batch: int = BATCH) -> EvaluationBatches:
    """Batches with "series" and "future"."""
    length = complete(loaded.config.method, loaded.config.settings)["length"]
    return evaluation_batches(part, card, SeriesView(length), batch, budget=1.0)
