"""Pretraining from one call: data, method, plan, run folder, loop; and resuming it."""

import json
import os
import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from unmask.app.catalogue import builder, complete, create, recipe
from unmask.app.compiling import compile_blocks
from unmask.app.masking import MaskLike, keep, kept, use_mask
from unmask.app.modality import kind_of, modality_of, require_pictures
from unmask.app.runs import (
    Config,
    changes,
    check_origin,
    has_begun,
    read_card,
    read_checkpoint,
    read_config,
    versions,
    write_json,
    write_names,
)
from unmask.app.stages import named_runs, open_stages, restated, take
from unmask.app.watching import FEWEST, Watcher, spread
from unmask.core import Method
from unmask.core.assembly import arguments
from unmask.data.protocols import Facts
from unmask.data.source import Source
from unmask.data.stream import TrainingStream, evaluation_batches
from unmask.interop.bert import holds_bert, load_bert
from unmask.interop.published import load_into
from unmask.interop.released import load_released
from unmask.train.engine import Engine, choose_device, choose_precision
from unmask.train.lock import RunLock
from unmask.train.loop import Run, train
from unmask.train.plan import Plan, make_plan
from unmask.train.trackers import Logs

VALUES = "the same names, other values"
FIRST_LOOK = 32768  # samples that a method may start from
HELD_OUT, HELD_OUT_MOST = 0.05, 512  # share, and most, of the samples never trained on where the data has no split


def pretrain(
    data: str | Path,
    out: str | Path,
    method: str = "mae",
    *,
    model: str | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    warmup: float | None = None,
    seed: int = 0,
    init_from: str | Path | None = None,
    mask: MaskLike | None = None,
    accumulation: int = 1,
    precision: str = "auto",
    device: str = "auto",
    compile: bool = False,
    clip: float | None = None,
    ema: float | None = None,
    workers: int = 0,
    split: str | None = None,
    limit: int | None = None,
    channels: Sequence[str] | None = None,
    fit: str = "crop",
    smallest: int = 1,
    bad_budget: float = 0.001,
    save_every: int | None = None,
    monitor_every: int | None = None,
    log_every: int | None = None,
    trackers: Sequence[str] = (),
    progress: bool = True,
    say: Callable[[str], None] = print,
    **settings: Any,
) -> Path:
    """Trains a method on data of its kind, such as a folder or archive of pictures, and returns the run folder.

    lr: base learning rate per 256 samples; default: the recipe's. warmup: epochs. batch: the effective one.
    mask: what to hide instead of the method's own choice: a word such as "ncut", a .npy or .png file, an array of
    booleans on the grid of the patches, or a callable (model, batch, context) -> Mask.
    init_from: weights to begin with, in any naming that is known: a released file, an export, another run.
    ema: decay of a moving average of the weights. `epochs=0` saves the untrained network. settings: arguments of the
    method and of its parts, such as image_size=64, patch_size=8, ratio=0.6. smallest: pictures with a shorter side
    are refused. A part that is trained before, such as the tokenizer of MaskGIT, is named by its run: tokenizer=RUN;
    its weights are kept in the new run as well. bad_budget: share of refused and unreadable pictures above which the
    run stops.

    Raises ValueError for anything that does not fit together, before data or model are touched where possible.
    """
    out = Path(out)
    known = arguments(builder(method))  # an unknown method or setting fails before anything is read
    if model is not None:
        settings["model"] = model
    settings, stages = open_stages(method, *named_runs(method, settings))
    if mask is not None:
        require_pictures(method, "a mask given by hand", ("video", "audio"))
    create_check(method, settings, mask)
    chosen = choose_device(device)
    precision = choose_precision(precision, chosen)
    with ExitStack() as stack:
        _claim(out, stack, say)
        named = kind_of(method, data)
        kind = modality_of(method, named)
        first = next(iter(stages.values()), None)
        if first is None:
            source = kind.open_data(data, {"channels": channels}, complete(method, settings))
        else:
            source = kind.open_like(data, {"channels": channels}, complete(method, settings), first.card)
        training, _ = divide(source, split, limit)
        card = kind.measure(training)
        following = kind.settings_of_data(card, known, settings)
        settings = {**following, **restated(stages, card, following), **settings}
        kind.check(card, settings, {"fit": fit, "smallest": smallest})
        plan = make_plan(
            recipe(method),
            len(training),
            epochs=epochs,
            steps=steps,
            batch=batch,
            lr=lr,
            warmup=warmup,
            seed=seed,
            accumulation=accumulation,
            precision=precision,
            compile=compile,
            clip=clip,
            ema=ema,
            save_every=save_every,
            monitor_every=monitor_every,
            log_every=log_every,
        )
        where = {
            "spec": str(Path(data).absolute()) if Path(data).exists() else str(data),
            "split": split,
            "limit": limit,
            "channels": list(channels) if channels else None,
            "fit": fit,
            "smallest": smallest,
            "bad_budget": bad_budget,
            "workers": workers,
            "trackers": list(trackers),
            "init_from": str(init_from) if init_from else None,
            "stages": {name: str(stage.run) for name, stage in stages.items()},
        }
        if named is not None:
            where["kind"] = named
        config = Config(method, settings, where, plan.to_json(), versions(), keep(mask, out))
        _run(out, config, card, source, plan, chosen, progress, say, mask=mask)
    return out


def resume(
    run: str | Path,
    *,
    device: str = "auto",
    workers: int | None = None,
    data: str | Path | None = None,
    accept_data_change: bool = False,
    mask: MaskLike | None = None,
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> Path:
    """Continues a run from its newest valid checkpoint, bit for bit on the same kind of device.

    data: the same data at another place. mask: the callable that the run was begun with, which no file can hold.
    Raises ValueError where the data has changed since the run began.
    """
    run = Path(run)
    config, card = read_config(run), read_card(run)
    chosen = choose_device(device)
    with ExitStack() as stack:
        hold(run, stack, say)
        checkpoint = read_checkpoint(run) if has_begun(run) else None
        if checkpoint is not None:
            check_origin(run, config, checkpoint)
            for warning in checkpoint.warnings:
                say(f"warning: {warning}")
        plan = Plan.from_json(config.plan)
        if checkpoint is not None and checkpoint.step >= plan.steps:
            say(f"{run} is complete: step {checkpoint.step} of {plan.steps}; nothing to resume")
            return run
        settings = complete(config.method, config.settings)
        source = modality_of(config.method, config.kind).open_like(
            data or config.data["spec"], config.data, settings, card
        )
        training, _ = divide(source, config.data["split"], config.data["limit"])
        if training.fingerprint() != card.fingerprint:
            if not accept_data_change:
                raise ValueError(
                    f"the data of {data or config.data['spec']} has changed since the run began: {len(training)}"
                    f" {source.noun} now, {card.count} then ({changes(run, training) or VALUES}); restore it, or pass"
                    " --accept-data-change"
                )
            card = replace(cast(Any, card), fingerprint=training.fingerprint(), count=len(training))
        if config.mask is not None and mask is None and kept(config.mask, run) is None:
            raise ValueError(f"{run} was masked by a Python {config.mask}; resume it from Python with mask=")
        if workers is not None:
            config.data["workers"] = workers
        if checkpoint is not None and checkpoint.step == 0 and not begins_with(config):
            checkpoint = None  # begun anew, so that what is looked at before the first step is there
        _run(run, config, card, source, plan, chosen, progress, say, checkpoint, mask)
    return run


def divide(source: Source, split: str | None = None, limit: int | None = None) -> tuple[Source, Source]:
    """Training and held-out part: the named split and the validation split, or a fixed random share.

    limit: most training samples, a fixed random choice. The training part is in the order of the names, so that
    another listing of the same data gives the same run. The test split, if there is one, is never touched here. Of a
    transductive source both parts are everything.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit {limit} leaves none of the {source.noun}; give at least 1, or none at all")
    splits = source.splits()
    if split is not None and split not in splits:
        raise ValueError(f"split {split!r} is not in the data; there are {', '.join(splits) or 'none'}")
    name = split or ("train" if "train" in splits else None)
    part = source.subset(splits[name]) if name else source
    if source.transductive:
        return part, part
    order = sorted(range(len(part)), key=lambda i: random.Random(part.items[i].name).random())
    if name == "train" and "validation" in splits:
        held = source.subset(splits["validation"])
    else:
        count = min(max(round(len(part) * HELD_OUT), FEWEST), HELD_OUT_MOST)
        if len(part) < 2 * FEWEST:
            raise ValueError(f"{len(part)} {source.noun} are too few to hold any out; give at least {2 * FEWEST}")
        held, order = part.subset(sorted(order[:count])), order[count:]
    return part.subset(sorted(order[:limit], key=lambda i: part.items[i].name)), held


def create_check(method: str, settings: dict[str, Any], mask: MaskLike | None = None) -> None:
    """Fails on a wrong setting before any data is read, by building the method without memory."""
    with torch.device("meta"):
        built = create(method, **settings)
        if mask is not None:
            use_mask(built, mask)


def hold(run: Path, stack: ExitStack, say: Callable[[str], None]) -> None:
    """Locks the run folder for this training; of several processes of one training, the first does."""
    if int(os.environ.get("RANK", "0")) == 0:
        for note in stack.enter_context(RunLock(run)).notes:
            say(note)


def _claim(out: Path, stack: ExitStack, say: Callable[[str], None]) -> None:
    """Makes the run folder and locks it; refuses one that holds another run, but not one that never began."""
    hold(out, stack, say)
    if int(os.environ.get("RANK", "0")) == 0 and has_begun(out):
        raise ValueError(f"{out} already holds a run; continue it with `unmask resume {out}` or choose another --out")


def _run(
    out: Path,
    config: Config,
    card: Facts,
    source: Source,
    plan: Plan,
    device: torch.device,
    progress: bool,
    say: Callable[[str], None],
    resumed=None,
    mask: MaskLike | None = None,
) -> None:
    training, held_out = divide(source, config.data["split"], config.data["limit"])
    kind = modality_of(config.method, config.kind)
    torch.manual_seed(plan.seed)
    method = config.build(out)
    if callable(mask):
        use_mask(method, mask)
    if resumed is None:
        shown = kind.evaluation_view(complete(config.method, config.settings), config.data)
        method.begin(evaluation_batches(spread(training, FIRST_LOOK), card, shown, budget=1.0))
        for name, run in config.data.get("stages", {}).items():
            say(take(method, name, Path(run)))
    if resumed is None and config.data["init_from"]:
        say(begin_with(method, Path(config.data["init_from"])))
    if plan.compile:
        compile_blocks(method, say)
    engine = Engine(method, plan, device)
    settings = complete(config.method, config.settings)
    view = kind.training_view(method, recipe(config.method), settings, config.data)
    if engine.process == 0:
        write_names(out, training)
        write_json(out / "data_card.json", json.loads(card.to_json()))
        write_json(out / "config.json", config.to_json())
        say(_announce(config, card, plan, held_out, engine))
        for remark in method.remarks(plan.steps):
            say(remark)
    streams: list[TrainingStream] = []

    def stream(start: int) -> TrainingStream:
        streams.append(
            TrainingStream(
                training,
                card,
                view,
                seed=plan.seed,
                batch=plan.batch,
                steps=plan.steps,
                start=start,
                processes=engine.processes,
                process=engine.process,
                accumulation=plan.accumulation,
                workers=config.data["workers"],
                budget=config.data["bad_budget"],
                device=engine.accelerator.device,
                labels=engine.method.labelled,
            )
        )
        return streams[-1]

    logs = watcher = None
    if engine.process == 0:
        logs = Logs(out, out.name, ("tensorboard", *config.data["trackers"]), config.to_json())
        logs.rewind(-1 if resumed is None else resumed.step)
        watcher = Watcher(out, config, card, training, held_out, logs, engine.accelerator.device, say)
    state = {"config": config.to_json(), "data_card": json.loads(card.to_json())}
    began = time.monotonic()
    try:
        train(engine, plan, Run(out, stream, logs, state, watcher, progress=progress), resumed)
    finally:
        faults = {name: reason for s in streams for name, reason in s.faults.items()}
        if faults and engine.process == 0:
            write_json(out / "replaced.json", faults)
            named = ", ".join(list(faults)[:5])
            say(f"{len(faults)} unreadable {source.noun} were replaced by others (replaced.json): {named}")
        if logs is not None:
            logs.close()
    if engine.process == 0:
        say(f"done: {plan.steps} steps in {time.monotonic() - began:.0f} s, run folder {out}")


def begins_with(config: Config) -> bool:
    """Whether the first weights are those of other runs or files, which may be gone by now."""
    return bool(config.data["init_from"] or config.data.get("stages"))


def begin_with(method: Method, path: Path) -> str:
    """Fills the method with the weights of a run, an export or a released file; says what was found."""
    if (path / "data_card.json").is_file():
        checkpoint = read_checkpoint(path)
        method.load_state_dict(checkpoint.tensors("method"))
        return f"begins with the weights of {path}, step {checkpoint.step}"
    if holds_bert(path):
        return load_bert(method, path)
    return (load_released(method, path) or load_into(method, path)).to_text()


def _announce(config: Config, card: Facts, plan: Plan, held_out: Source, engine: Engine) -> str:
    named = {**config.settings, **({} if config.mask is None else {"mask": config.mask})}
    settings = ", ".join(f"{name}={value}" for name, value in named.items())
    parameters = sum(p.numel() for p in engine.method.parameters()) / 1e6
    held = "none of it" if held_out.transductive else len(held_out)
    return (
        f"{config.method} ({settings}), {parameters:.1f} M parameters\n"
        f"{card.count} {held_out.noun} to train on, {held} held out; {plan.steps} steps of {plan.batch}"
        f" samples ({engine.processes} processes x {plan.accumulation} accumulation),"
        f" {plan.steps * plan.batch / plan.samples:.1f} epochs, peak learning rate {plan.lr:.2e},"
        f" {plan.precision} on {engine.accelerator.device}"
    )
