"""Whether a run learns, in numbers that need no labels, and in one sentence."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unmask.core import Batch, Context, Mask, Method, key_of, only_known, to_device
from unmask.evaluate.codes import active_units
from unmask.evaluate.features import FeatureTable, extract, frozen
from unmask.evaluate.knn import knn_accuracy
from unmask.evaluate.likelihood import likelihood
from unmask.evaluate.rank import feature_std, mean_cosine, rankme
from unmask.evaluate.trivial import guessed_pictures

EARLY = 0.05  # share of the run before which no verdict is given; the usual warm-up
COLLAPSED = 0.5  # both RankMe and the spread below this share of their best so far
FLAT = 0.01  # explained variance gained over the last third of the run below which it has levelled off
WEIGHTS = 50  # samples of the code per picture, for the likelihood: a bound that more samples would raise
WORSE = 0.05  # relative rise of the held-out loss over its best that counts as getting worse
PREDICTORS = {
    "mean": "guessing the data set's mean",
    "visible": "guessing the mean of the visible patches",
    "nearest": "copying the nearest visible patch",
    "inpainted": "continuing the visible pixels smoothly",
}

Sampler = Callable[[Method, Batch, Context], Mask]
Guess = Callable[[Any, Batch, Mask], dict[str, Tensor]]
Numbers = dict[str, float]


@torch.no_grad()
def held_out(
    method: Method,
    batches: Iterable[Batch],
    context_seed: int = 0,
    device: torch.device | str = "cpu",
    sampler: Sampler | None = None,
    context: Context | None = None,
    neighbours: Iterable[Batch] | None = None,
    guess: Guess = guessed_pictures,
) -> Numbers:
    """How well the method predicts what it has not trained on, and how good its features are.

    batches: can be gone through twice. sampler: what to hide, instead of the method's own sampler; give the same
    one to compare methods. context: where the run stands, for samplers that change on the way. neighbours: labelled
    batches for kNN; without them, and with labels, every second sample is classified by the others. guess: what needs
    no learning, for each of `PREDICTORS`, in the form of what the encoder reads.

    Keys: `loss` on hidden places; `trivial/NAME` the loss of a prediction that needs no learning, in the same target
    space under the same masks, and scaled by the one factor that serves it best; `beats/NAME` = 1 - loss / that;
    `explained_variance` = `beats/mean`; `rankme`, `feature_std`, `mean_cosine` of the pooled features; `knn/BLOCK`
    the accuracy after every block, when there are labels.
    A method that predicts no places has its own terms instead, `loss/TERM`, in evaluation mode, and `loss` their sum in
    its first phase. Where it has codes: `reconstruction`, the share of the pixels' variance that they keep,
    `active_units/LAYER`, and where it knows it, `log_likelihood` in nats per picture and `bits_per_dim`.
    """
    place = replace(context or Context(), generator=torch.Generator().manual_seed(context_seed), first=0, total=None)
    numbers: Numbers = {"step": place.step, "progress": place.progress}
    with frozen(method.to(device)):
        if hasattr(method, "predict"):
            numbers |= _reconstruction(method, batches, sampler, place, device, guess)
        else:
            numbers |= _objective(method, batches, place, device)
        if not math.isfinite(numbers["loss"]):
            return numbers
        if hasattr(method, "codes"):
            numbers |= _codes(method, batches, place, device)
        table = extract(method, batches, device)
        pooled = table.blocks[-1]
        numbers |= {"rankme": rankme(pooled), "feature_std": feature_std(pooled), "mean_cosine": mean_cosine(pooled)}
        return numbers | _neighbours(table, None if neighbours is None else extract(method, neighbours, device))


def _reconstruction(
    method: Any,
    batches: Iterable[Batch],
    sampler: Sampler | None,
    context: Context,
    device: torch.device | str,
    guess: Guess,
) -> Numbers:
    """The loss on hidden places and that of the trivial predictors, over all batches."""
    sampler = sampler or method.sampler
    count = power = loss = 0.0
    products = {name: torch.zeros(2, dtype=torch.float64) for name in PREDICTORS}
    for batch in batches:
        batch = to_device(batch, device)
        mask, target = sampler(method, batch, context), method.target(batch)
        wanted = target.values.float()
        error = method.predict(batch, mask).float() - wanted
        loss += _total(error.square(), mask.hidden, target.real)
        power += _total(wanted.square(), mask.hidden, target.real)
        count += int(mask.hidden.sum())
        for name, guessed in guess(method, batch, mask).items():
            values = method.target(batch | {key_of(method.encoder): guessed}).values.float()
            products[name][0] += _total(values * wanted, mask.hidden, target.real)
            products[name][1] += _total(values.square(), mask.hidden, target.real)
    if not count:
        raise ValueError("nothing was hidden in the held-out batches; give at least one batch that can be gone through")
    trivial = {name: _residual(power, *pair.tolist()) / count for name, pair in products.items()}
    beats = {name: 1 - loss / count / max(value, 1e-12) for name, value in trivial.items()}
    return {
        "loss": loss / count,
        "explained_variance": beats["mean"],
        **{f"trivial/{name}": value for name, value in trivial.items()},
        **{f"beats/{name}": value for name, value in beats.items()},
    }


def _objective(method: Method, batches: Iterable[Batch], context: Context, device: torch.device | str) -> Numbers:
    """The method's own terms in every phase, averaged over the samples; batches of one do for no term over pairs."""
    sums: defaultdict[str, float] = defaultdict(float)
    phases = [phase.name for phase in method.phases()]
    count = 0
    for batch in batches:
        size = len(next(iter(batch.values())))
        if count and size == 1:
            continue
        batch = to_device(batch, device)
        for phase in phases:
            for name, value in method.losses(batch, replace(context, phase=phase)).items():
                sums[f"loss/{name}"] += float(value) * size
                sums["loss"] += float(value) * size * (phase == phases[0])
        count += size
    if not count:
        raise ValueError("there are no held-out batches; give at least one batch that can be gone through")
    return {name: value / count for name, value in sums.items()}


def _codes(method: Any, batches: Iterable[Batch], context: Context, device: torch.device | str) -> Numbers:
    """What the codes keep of the pictures, how many of their units are in use, and how likely the pictures are."""
    error = power = 0.0
    means: list[tuple[Tensor, ...]] = []
    for batch in batches:
        batch = to_device(only_known(batch), device)
        valid = batch["image_valid"].unsqueeze(1) if "image_valid" in batch else 1.0
        error += float(((method.reconstruct(batch) - batch["image"]).square() * valid).double().sum())
        power += float(batch["image"].double().square().sum())
        layers = hasattr(method, "posterior_means")
        means.append(method.posterior_means(batch, context.generator) if layers else (method.codes(batch),))
    numbers = {"reconstruction": 1 - error / max(power, 1e-12)}
    for number, layer in enumerate(zip(*means, strict=True), start=1):
        numbers[f"active_units/{number}"] = active_units(torch.cat(layer))
    if hasattr(method, "log_likelihood"):
        found = likelihood(method, batches, WEIGHTS, context.generator, device)
        numbers |= {name: found[name] for name in ("log_likelihood", "bits_per_dim")}
    return numbers


def _total(values: Float[Tensor, "b n k"], hidden: Bool[Tensor, "b n"], real: Bool[Tensor, "b n k"] | None) -> float:
    """The sum over hidden places of the mean over their real values."""
    place = values.mean(-1) if real is None else (values * real).sum(-1) / real.sum(-1).clamp(min=1)
    return float((place * hidden).double().sum())


def _residual(power: float, product: float, square: float) -> float:
    """What is left of the target's power after the guess is scaled by its least-squares factor, never below 0."""
    return power if square <= 0 else max(power - max(product, 0.0) ** 2 / square, 0.0)


def _neighbours(table: FeatureTable, reference: FeatureTable | None) -> Numbers:
    """kNN accuracy after every block over the samples that have a class; nothing where none has."""
    table = _labelled(table)
    if reference is None:
        rows = torch.arange(len(table))
        reference, table = table.take(rows[::2]), table.take(rows[1::2])
    reference = _labelled(reference)
    if table.labels is None or reference.labels is None or not len(table) or not len(reference):
        return {}
    scores = {}
    for number, (known, asked) in enumerate(zip(reference.blocks, table.blocks, strict=True), start=1):
        scores[f"knn/{number:02d}"] = knn_accuracy(known, reference.labels, asked, table.labels)
    return scores


def _labelled(table: FeatureTable) -> FeatureTable:
    """The samples with a class."""
    return table if table.labels is None else table.take((table.labels >= 0).nonzero().squeeze(-1))


def advice(history: list[dict], noun: str = "pictures") -> str:
    """One plain sentence on how the run is doing, by fixed rules from the rows that were logged.

    history: rows in order, with `kind` "held_out" (what `held_out` returned) or "train" (`step`, `loss`).
    noun: what the samples are called.
    """
    rows = [_numbers(row) for row in history if row.get("kind", "held_out") == "held_out" and "loss" in row]
    if rows and not math.isfinite(rows[-1]["loss"]):
        return "diverging: the held-out loss is not a number; lower the learning rate, warm up longer, clip gradients."
    rows = [row for row in rows if math.isfinite(row["loss"])]
    if len(rows) < 2 or rows[-1].get("progress", 1.0) < EARLY:
        return f"too early to tell: {len(rows)} held-out measurement(s), {_share(rows)} of the run; look again later."
    train = [float(row["loss"]) for row in history if row.get("kind") == "train" and "loss" in row]
    return _worse(rows, train, noun) or _collapsing(rows, noun) or _trivial(rows) or _trend(rows)


def _numbers(row: dict) -> Numbers:
    """The numbers of a logged row; logs write those that are not finite as text."""
    return {k: float(v) for k, v in row.items() if not isinstance(v, str) or v in ("NaN", "Infinity", "-Infinity")}


def _share(rows: list[dict]) -> str:
    return f"{100 * rows[-1].get('progress', 0.0):.0f} %" if rows else "0 %"


def _worse(rows: list[dict], train: list[float], noun: str) -> str | None:
    """The held-out loss has risen twice in a row above its best."""
    best = min(rows, key=lambda row: row["loss"])
    size = max(abs(best["loss"]), 1e-12)  # a loss may be negative
    if min(row["loss"] for row in rows[-2:]) <= best["loss"] + WORSE * size:
        return None
    rise = 100 * (rows[-1]["loss"] - best["loss"]) / size
    found = f"the held-out loss is {rise:.0f} % above its best at step {best['step']:.0f}"
    crops = ", stronger crops" if noun == "pictures" else ""
    quarter = max(len(train) // 4, 1)
    if len(train) >= 4 and sum(train[-quarter:]) < sum(train[-2 * quarter : -quarter]):
        return f"memorising: {found} while the training loss falls; use more {noun}{crops} or fewer epochs."
    return f"getting worse: {found}; lower the learning rate, warm up longer or clip gradients."


def _collapsing(rows: list[dict], noun: str) -> str | None:
    """Both the rank and the spread of the features have lost half of their best values."""
    now = rows[-1]
    if "rankme" not in now or not all(
        now[key] < COLLAPSED * max(row[key] for row in rows) for key in ("rankme", "feature_std")
    ):
        return None
    best = max(row["rankme"] for row in rows)
    return (
        f"collapsing: the features use {now['rankme']:.0f} directions, at best they used {best:.0f}, and {noun} look "
        "more and more alike to the encoder; go back to an earlier checkpoint and lower the learning rate."
    )


def _trivial(rows: list[dict]) -> str | None:
    """The loss is not below that of every prediction that needs no learning."""
    now = rows[-1]
    best = min(PREDICTORS, key=lambda name: now.get(f"trivial/{name}", math.inf))
    if now["loss"] < now.get(f"trivial/{best}", math.inf):
        return None
    if now["loss"] >= now["trivial/mean"]:
        return (
            "not learning: no better than guessing the data set's mean; try another learning rate (a third, or three "
            "times as much) and check with `unmask inspect` that the pictures are standardised as they are."
        )
    word = "guesses averages" if best == "visible" else "copies neighbours"
    rising = _gain(rows) > FLAT and now.get("progress", 0.0) < 1
    return (
        f"{word}: explains {100 * now['explained_variance']:.0f} %, less than {PREDICTORS[best]} "
        f"({100 * (1 - now[f'trivial/{best}'] / now['trivial/mean']):.0f} %); "
        + ("it still improves, so keep going." if rising else "train longer, lower the learning rate or hide more.")
    )


def _trend(rows: list[dict]) -> str:
    """The run beats every trivial prediction: does it still improve?"""
    now = rows[-1]
    if "explained_variance" not in now:
        found = f"the held-out loss is {now['loss']:.3g}, at the start it was {rows[0]['loss']:.3g}"
        return f"learning: {found}." if now["loss"] < rows[0]["loss"] else f"not learning yet: {found}."
    beats = {name: now[f"beats/{name}"] for name in PREDICTORS}
    hardest = min(beats, key=lambda name: beats[name])
    found = f"its error is {100 * beats['nearest']:.0f} % below {PREDICTORS['nearest']}"
    if hardest != "nearest":
        found += f" and {100 * beats[hardest]:.0f} % below {PREDICTORS[hardest]}"
    if len(rows) >= 4 and _gain(rows) < FLAT:
        return f"levelling off: {found}, but the last third of the measurements gained {100 * _gain(rows):.1f} points."
    return f"learning: {found}, and it still improves."


def _gain(rows: list[dict]) -> float:
    """By how much the explained variance has grown over the last third of the measurements."""
    return rows[-1]["explained_variance"] - rows[-1 - max(len(rows) // 3, 1)]["explained_variance"]
