"""Looking at data and at runs: inspect, view, embed, analyse."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from unmask.app.catalogue import builder, complete, create, recipe
from unmask.app.masking import mask_panel
from unmask.app.modality import kind_of, modality_of, require_pictures
from unmask.app.pictures import save_png
from unmask.app.runs import SNAPSHOTS, Loaded, few, load, new_file
from unmask.app.stages import named_runs, open_stages
from unmask.app.training import divide
from unmask.app.watching import spread
from unmask.core import Context, Method
from unmask.core.assembly import arguments
from unmask.data.protocols import Drawing, Facts
from unmask.data.source import Item, Source
from unmask.data.stream import EvaluationBatches, TrainingStream, evaluation_batches
from unmask.evaluate.features import embed as vectors_of
from unmask.evaluate.features import tokens as tokens_of
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
) -> Facts:
    """Measures a data set and says what training would do with it and how long an epoch would take here.

    everything: decode every picture, not of 2,000. out: also save the card as JSON there. settings: as for
    `pretrain`.
    """
    if model is not None:
        settings["model"] = model
    settings, _ = open_stages(method, *named_runs(method, settings), needed=False)
    kind, where = modality_of(method, kind_of(method, data)), {"channels": channels, "fit": fit, "smallest": smallest}
    source = kind.open_data(data, where, complete(method, settings))
    splits = source.splits()
    if split is not None:
        source, _ = divide(source, split)
    elif len(splits) > 1:
        say(f"parts of the data: {', '.join(f'{name} ({len(rows)})' for name, rows in splits.items())}")
    card = kind.measure(source, everything)
    if out is not None:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        Path(out).write_text(card.to_json() + "\n")
    settings = {**kind.settings_of_data(card, arguments(builder(method)), settings), **settings}
    built = create(method, **settings)
    view = kind.training_view(built, recipe(method), complete(method, settings), where)
    sizes = ", ".join(f"{name}={value}" for name, value in settings.items())
    say(card.to_text(view, _estimate(source, card, view, built, f"{method} ({sizes})")))
    return card


def _estimate(source: Source, card: Facts, view: Drawing, built: Method, words: str) -> str | None:
    """How long an epoch takes here, from a few real steps on a few samples, as late in a training."""
    try:
        card.check_uniform()
    except ValueError:  # the card says why; there is nothing to try
        return None
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
    return (
        f"{words} on the CPU: {rate:.0f} {source.noun}/s, an epoch of {len(source):,} in"
        f" {_duration(len(source) / rate)}, measured on {TRIED} steps of {batch}"
    )


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def pictures_of(loaded: Loaded, data: str | Path | None) -> Source:
    """The named data, or the run's own, in the form of the data that the run was trained on.

    Raises ValueError where it cannot be brought into it, such as where a channel is missing.
    """
    config = loaded.config
    settings = complete(config.method, config.settings)
    return modality_of(config.method, config.kind).open_like(
        data or config.data["spec"], config.data, settings, loaded.card
    )


def unseen(loaded: Loaded, data: str | Path | None) -> Source:
    """The named data, or the part of the run's own that was held out."""
    source = pictures_of(loaded, data)
    where = loaded.config.data
    return source if data is not None else divide(source, where["split"], where["limit"])[1]


def batches_to_measure(loaded: Loaded, data: str | Path | None = None, limit: int | None = None) -> EvaluationBatches:
    """What measures that need no training look at: the test part, or else the validation part or what was held out.

    limit: most samples, evenly spaced.
    """
    source = pictures_of(loaded, data)
    splits = source.splits()
    part = next((source.subset(splits[name]) for name in ("test", "validation") if name in splits), None)
    if part is None:
        part = unseen(loaded, data)
    return batches_of(loaded, part if limit is None else spread(part, limit))


def batches_of(loaded: Loaded, source: Source, batch: int = 64, targets: bool = False) -> EvaluationBatches:
    """The samples as the run's encoder expects them: its size, its statistics, never masked or mirrored.

    Those that cannot be read are left out and counted in `faults`.
    """
    config = loaded.config
    view = modality_of(config.method, config.kind).evaluation_view(
        complete(config.method, config.settings), config.data
    )
    return evaluation_batches(source, loaded.card, view, batch, targets=targets, budget=1.0)


def embed(
    run: str | Path,
    data: str | Path | None = None,
    *,
    out: str | Path,
    block: int | None = None,
    tokens: bool = False,
    batch: int = 64,
    device: str = "auto",
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Writes one vector per sample to a .parquet (name, label, vector) or .npy file. Never masks.

    block: counted from 1; default: the last. tokens: one vector per place, [samples, places, width], of the last block.
    """
    out = Path(out)
    if out.suffix not in (".parquet", ".npy"):
        raise ValueError(f"{out} is neither .parquet nor .npy; name one of them")
    if batch < 1:
        raise ValueError(f"batch {batch} must be at least 1")
    if tokens and (block is not None or out.suffix != ".npy"):
        raise ValueError("tokens are those of the last block, as a .npy file; name one, and no block")
    loaded = load(run)
    chosen = choose_device(device)
    source = pictures_of(loaded, data)
    batches = batches_of(loaded, source, batch)
    rows, parts = [], []
    with new_file(out) as file:
        method = loaded.method
        found = tokens_of(method, batches, chosen) if tokens else vectors_of(method, batches, block, chosen)
        for index, vectors in found:
            rows += index.tolist()
            parts.append(vectors.numpy())
        if batches.faults:
            say(f"left out {len(batches.faults)} {source.noun} that cannot be used: {few(list(batches.faults))}")
        table = np.concatenate(parts)
        _write_vectors(file, out.suffix, [source.items[i] for i in rows], table)
    return {"file": str(out), "count": len(rows), "width": int(table.shape[-1]), "left_out": dict(batches.faults)}


def _write_vectors(file: Path, kind: str, items: Sequence[Item], table: Float[np.ndarray, "n *d"]) -> None:
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
    Raises ValueError for a method that says nothing of what it sees and predicts.
    """
    loaded = load(run, step)
    held = unseen(loaded, data)
    batch = next(iter(batches_of(loaded, spread(held, images), images)))
    generator = torch.Generator().manual_seed(seed)
    progress = loaded.step / max(loaded.config.plan["steps"], 1)
    context = Context(progress, loaded.step, generator=generator)
    if masks:
        require_pictures(loaded.config.method, "view --masks")
        figure = mask_panel(loaded.method, batch, loaded.card, masks, context)
    else:
        kind = modality_of(loaded.config.method, loaded.config.kind)
        if not kind.draws(loaded.method):
            raise ValueError(
                f"{loaded.config.method} says nothing of what it sees and predicts; there is nothing to draw"
            )
        figure = kind.panel(loaded.method, batch, loaded.card, context)
    path = Path(out) if out else Path(run) / "view.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_png(figure, path)


def analyse(
    run: str | Path, data: str | Path | None = None, *, out: str | Path | None = None, images: int = 64
) -> dict[str, Any]:
    """Every metric of the analysis suite at every layer, and over the run's snapshots, with plots."""
    from unmask.app.analysis import analyse as study

    loaded = load(run)
    require_pictures(loaded.config.method, "analyse")
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
