"""Looking at data and at runs: inspect, view, embed, analyse."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from unmask.app.catalogue import builder, create, recipe
from unmask.app.masking import mask_panel
from unmask.app.pictures import panel_of, save_png
from unmask.app.runs import SNAPSHOTS, Loaded, few, load, new_file
from unmask.app.training import divide, needs_whole, settings_of_data
from unmask.app.watching import spread
from unmask.core import Context
from unmask.core.assembly import arguments, read_settings
from unmask.data.card import DataCard
from unmask.data.card import inspect as measure
from unmask.data.picture import Picture, Unreadable
from unmask.data.source import Item, Source
from unmask.data.sources import open_source
from unmask.data.stream import EvaluationBatches, TrainingStream, evaluation_batches
from unmask.data.views import EvaluationView, TrainingView
from unmask.evaluate.features import embed as vectors_of
from unmask.train.checkpoint import all_steps
from unmask.train.engine import choose_device

TRIED = 3  # steps that are timed to say how long training would take; the first is not counted
TRIED_BATCH = 16


def inspect(
    data: str | Path,
    *,
    out: str | Path | None = None,
    everything: bool = False,
    split: str | None = None,
    channels: Sequence[str] | None = None,
    fit: str = "crop",
    smallest: int = 1,
    method: str = "mae",
    model: str | None = None,
    say: Callable[[str], None] = print,
    **settings: Any,
) -> DataCard:
    """Measures a data set and says what training would do with it and how long an epoch would take here.

    everything: decode every picture, not a sample of 2,000. out: also save the card as JSON there. settings: as for
    `pretrain`.
    """
    if model is not None:
        settings["model"] = model
    settings = read_settings(builder(method), settings)
    source = open_source(data, channels)
    splits = source.splits()
    if split is not None:
        source, _ = divide(source, split)
    elif len(splits) > 1:
        say(f"parts of the data: {', '.join(f'{name} ({len(rows)})' for name, rows in splits.items())}")
    card = measure(source, limit=None if everything else 2000)
    if out is not None:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        Path(out).write_text(card.to_json() + "\n")
    settings = {**settings_of_data(card, arguments(builder(method)), settings), **settings}
    published = recipe(method)
    view = TrainingView(
        settings["image_size"],
        crop=published.crop,
        flip=published.flip,
        whole=needs_whole(create(method, **settings)),
        fit=fit,
        smallest=smallest,
    )
    say(card.to_text(view, _estimate(source, card, view, method, settings) if len(card.kinds) <= 1 else None))
    return card


def _estimate(source: Source, card: DataCard, view: TrainingView, method: str, settings: dict[str, Any]) -> str:
    """How long an epoch takes here, from a few real steps on a few samples, as late in a training."""
    built = create(method, **settings)
    batch = min(TRIED_BATCH, len(source))
    stream = iter(TrainingStream(source, card, view, seed=0, batch=batch, steps=TRIED + 1, budget=1.0))
    optimiser = torch.optim.AdamW(built.parameters())
    for step in range(TRIED + 1):
        if step == 1:
            began = time.monotonic()
        optimiser.zero_grad()
        found = next(stream)
        terms = built.losses(found, Context(1.0, step, generator=torch.Generator().manual_seed(step)))
        torch.stack(list(terms.values())).sum().backward()
        optimiser.step()
    rate = TRIED * batch / (time.monotonic() - began)
    sizes = ", ".join(f"{name}={value}" for name, value in settings.items())
    return (
        f"{method} ({sizes}) on the CPU: {rate:.0f} pictures/s, an epoch of {len(source):,} in"
        f" {_duration(len(source) / rate)}, measured on {TRIED} steps of {batch}"
    )


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def pictures_of(loaded: Loaded, data: str | Path | None) -> Source:
    """The named data, or the run's own; its channels brought into the order of the run.

    Raises ValueError where a channel that the encoder was trained on is missing, or the type of the values differs.
    """
    wanted = loaded.card.channels
    source = open_source(data or loaded.config.data["spec"], loaded.config.data["channels"])
    picture = _first_readable(source)
    if picture.values.dtype != loaded.card.dtype:
        raise ValueError(
            f"{source.origin} has values of {picture.values.dtype}, the run was trained on {loaded.card.dtype};"
            " give data of this type"
        )
    if picture.channels == wanted:
        return source
    if set(wanted) <= set(picture.channels):
        return open_source(data or loaded.config.data["spec"], wanted)
    raise ValueError(
        f"{source.origin} has the channels {', '.join(picture.channels)}, the run was trained on {', '.join(wanted)};"
        " give data with these channels"
    )


def unseen(loaded: Loaded, data: str | Path | None) -> Source:
    """The named data, or the part of the run's own that was held out."""
    source = pictures_of(loaded, data)
    where = loaded.config.data
    return source if data is not None else divide(source, where["split"], where["limit"])[1]


def _first_readable(source: Source) -> Picture:
    for i in range(len(source)):
        with suppress(Unreadable):
            return source.read(i)
    raise ValueError(f"{source.origin} holds no readable picture")


def batches_of(loaded: Loaded, source: Source, batch: int = 64, targets: bool = False) -> EvaluationBatches:
    """The pictures as the run's encoder expects them: its size, its statistics, never masked or mirrored.

    Those that cannot be read are left out and counted in `faults`.
    """
    where = loaded.config.data
    view = EvaluationView(loaded.config.settings["image_size"], fit=where["fit"], smallest=where["smallest"])
    return evaluation_batches(source, loaded.card, view, batch, targets=targets, budget=1.0)


def embed(
    run: str | Path,
    data: str | Path | None = None,
    *,
    out: str | Path,
    block: int | None = None,
    batch: int = 64,
    device: str = "auto",
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Writes one vector per picture to a .parquet (name, label, vector) or .npy file. Never masks.

    block: counted from 1; default: the last.
    """
    out = Path(out)
    if out.suffix not in (".parquet", ".npy"):
        raise ValueError(f"{out} is neither .parquet nor .npy; name one of them")
    if batch < 1:
        raise ValueError(f"batch {batch} must be at least 1")
    loaded = load(run)
    chosen = choose_device(device)
    source = pictures_of(loaded, data)
    batches = batches_of(loaded, source, batch)
    rows, parts = [], []
    with new_file(out) as file:
        for index, vectors in vectors_of(loaded.method, batches, block, chosen):
            rows += index.tolist()
            parts.append(vectors.numpy())
        if batches.faults:
            say(f"left out {len(batches.faults)} pictures that cannot be used: {few(list(batches.faults))}")
        table = np.concatenate(parts)
        _write_vectors(file, out.suffix, [source.items[i] for i in rows], table)
    return {"file": str(out), "count": len(rows), "width": int(table.shape[1]), "left_out": dict(batches.faults)}


def _write_vectors(file: Path, kind: str, items: Sequence[Item], table: Float[np.ndarray, "n d"]) -> None:
    if kind == ".npy":
        with file.open("wb") as opened:
            np.save(opened, table)
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"name": [i.name for i in items], "label": [i.label for i in items], "vector": list(table)}
    pq.write_table(pa.table(columns), file)


def view(
    run: str | Path,
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    images: int = 8,
    step: int | None = None,
    seed: int = 0,
    masks: Sequence[str] = (),
) -> Path:
    """Draws input, masked, prediction and, for guided masks, their reasons; or input, reconstruction and new pictures.

    masks: draw instead, side by side, what these samplers would hide, by the words that `pretrain` takes.
    Raises ValueError for a method that neither predicts nor reconstructs pictures.
    """
    loaded = load(run, step)
    held = unseen(loaded, data)
    batch = next(iter(batches_of(loaded, spread(held, images), images)))
    generator = torch.Generator().manual_seed(seed)
    progress = loaded.step / max(loaded.config.plan["steps"], 1)
    context = Context(progress, loaded.step, generator=generator)
    if masks:
        figure = mask_panel(loaded.method, batch, loaded.card, masks, context)
    else:
        figure = panel_of(loaded.method, batch, loaded.card, context)
    path = Path(out) if out else Path(run) / "view.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_png(figure, path)


def analyse(
    run: str | Path, data: str | Path | None = None, *, out: str | Path | None = None, images: int = 64
) -> dict[str, Any]:
    """Every metric of the analysis suite at every layer, and over the run's snapshots, with plots."""
    from unmask.app.analysis import analyse as study

    loaded = load(run)
    if not hasattr(getattr(loaded.method, "encoder", None), "grid_of"):
        raise ValueError(f"{loaded.config.method} has no encoder of tokens; analyse needs one")
    held = unseen(loaded, data)
    steps = [s for s in all_steps(Path(run) / SNAPSHOTS) if s <= loaded.step]
    snapshots = [(s, lambda s=s: load(run, s).method) for s in steps]
    return study(
        loaded.method,
        batches_of(loaded, spread(held, images)),
        snapshots,
        Path(out) if out else Path(run) / "analysis",
        images,
        card=loaded.card,
    )
