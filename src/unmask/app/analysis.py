"""What a network has learned: relations, clusters, gap, course, exploitation, attention and frequencies, as a report.

Source: "Self-Guided Masked Autoencoder", NeurIPS 2024, https://arxiv.org/abs/2507.19773: sections on what MAE learns.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unmask.app.analysis_pictures import draw_pictures
from unmask.app.analysis_plots import draw_curves
from unmask.core import Batch, Mask, Method, keep_count, to_device
from unmask.data.card import DataCard
from unmask.evaluate.analysis.attention import attention_distance, attention_information, place_attention
from unmask.evaluate.analysis.building import exploitation_by_layer
from unmask.evaluate.analysis.change import relation_divergence
from unmask.evaluate.analysis.fourier import diagonal_frequencies, relative_amplitude
from unmask.evaluate.analysis.gap import cluster_gap
from unmask.evaluate.analysis.variances import feature_variance, hidden_variance, similarity_variance
from unmask.evaluate.features import frozen
from unmask.parts.nets.transformer import Record
from unmask.parts.ops.clustering import affinity, bipartition
from unmask.parts.ops.relations import cosine_relations

CHUNK = 16  # pictures at a time: the attention maps of all layers are held at once

Checkpoints = Iterable[tuple[int, Callable[[], Method]]]


@dataclass(frozen=True, eq=False)
class Tap:
    """What one network computed for a batch: tokens of the places and attention of all tokens, per block."""

    tokens: list[Tensor]
    maps: list[Tensor]
    prefix: int

    def relations(self, layer: int) -> Float[Tensor, "b n n"]:
        return cosine_relations(self.tokens[layer].float())

    def attention(self, layer: int) -> Float[Tensor, "b heads n n"]:
        return place_attention(self.maps[layer], self.prefix)

    def cut(self, layer: int, solver: str) -> Int64[Tensor, "b n"]:
        """The two sides of the normalised cut of this layer's relations."""
        return bipartition(affinity(self.relations(layer)), solver).side.long()


@dataclass(frozen=True, eq=False)
class Settings:
    """What all measurements of one analysis share."""

    grid: tuple[int, int]
    patch: int
    ratio: float
    temperature: float
    solver: str
    seed: int


def analyse(
    method: Method,
    batches: Iterable[Batch],
    checkpoints: Checkpoints | None = None,
    out: str | Path = "analysis",
    images: int = 64,
    *,
    ratio: float = 0.75,
    pictures: int = 4,
    seed: int = 0,
    card: DataCard | None = None,
) -> dict[str, Any]:
    """Measures every layer as `measure` does; writes analysis.json and one PNG per question to `out`.

    pictures: how many are drawn with their relations and clusters. card: of the training data, to show them in
    their own units. Returns what analysis.json holds: the numbers, and the names of the plots.
    """
    chunks = list(_chunks(batches, images))
    findings = measure(method, chunks, checkpoints, images, ratio=ratio, seed=seed)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    few = {key: value[:pictures] for key, value in chunks[0].items()}
    with torch.inference_mode(), frozen(method):
        taps = _whole_taps(method, few)
    rows, columns = findings["grid"]
    findings["plots"] = {
        **draw_pictures(folder, few["image"].cpu(), taps, (rows, columns), card, seed),
        **draw_curves(folder, findings),
    }
    (folder / "analysis.json").write_text(json.dumps(findings, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return findings


def measure(
    method: Method,
    batches: Iterable[Batch],
    checkpoints: Checkpoints | None = None,
    images: int = 64,
    *,
    ratio: float = 0.75,
    temperature: float = 1.0,
    solver: str = "fast",
    seed: int = 0,
) -> dict[str, Any]:
    """Every metric at every layer of encoder and decoder, on the first `images` pictures.

    checkpoints: (step, load) pairs in the order of training, the last being the state of `method` itself, which is
        not loaded again; `load()` returns the method of that step. Without them there is no course over training.
    ratio: share hidden at random where mask tokens are needed; everything else is measured on whole pictures.
    temperature: of the softmax that turns relations into distributions. solver: of the cut, "fast" or "exact".

    Returns means over pictures per layer under "encoder" and "decoder", their standard deviations under "spread",
    and the same for every checkpoint under "training".
    """
    chunks = list(_chunks(batches, images))
    settings = _settings(method, chunks[0], ratio, temperature, solver, seed)
    course = list(checkpoints or [])
    training = [_measured(load(), step, chunks, settings, method) for step, load in course[:-1]]
    last = _measured(method, course[-1][0] if course else None, chunks, settings, method)
    return {
        "images": sum(chunk["image"].shape[0] for chunk in chunks),
        "grid": list(settings.grid),
        "patch": settings.patch,
        "ratio": ratio,
        "temperature": temperature,
        "frequencies": diagonal_frequencies(settings.grid).tolist(),
        "encoder": last["encoder"],
        "decoder": last["decoder"],
        "training": [*training, last],
        "crossing": crossing_step([*training, last]),
        "notes": _notes(last, training),
    }


def summary(findings: dict[str, Any]) -> str:
    """The findings of the last layers as a few lines of text."""
    lines = [f"{findings['images']} pictures, {findings['grid'][0]}x{findings['grid'][1]} patches; last layers:"]
    rows = {
        "feature variance": "feature_variance",
        "similarity variance": "similarity_variance",
        "gap, similarity": "gap_similarity",
        "gap, attention": "gap_attention",
        "attention distance (px)": "distance",
        "attention NMI": "information",
    }
    parts = [name for name in ("encoder", "decoder") if findings[name]]
    lines.append(f"{'':26}" + "".join(f"{name:>10}" for name in parts))
    for title, key in rows.items():
        values = [findings[name][key][-1] for name in parts]
        lines.append(f"{title:26}" + "".join(f"{'-' if v is None else format(v, '.4f'):>10}" for v in values))
    if findings["decoder"]:
        shares = (findings["decoder"][key][-1] for key in ("from_visible", "from_hidden", "from_prefix"))
        lines.append("hidden places are built {:.0%} from visible, {:.0%} from mask, {:.0%} from class".format(*shares))
    return "\n".join(lines + findings["notes"])


def crossing_step(training: list[dict[str, Any]]) -> int | None:
    """The first step at which mask tokens overtake visible places in building the output, or None.

    An untrained decoder looks everywhere alike, so the many mask tokens start ahead of the few visible places; they
    can overtake only after visible places have been ahead.
    """
    visible_led = False
    for point in training:
        decoder = point["decoder"]
        if not decoder:
            return None
        ahead = decoder["from_hidden"][-1] > decoder["from_visible"][-1]
        if ahead and visible_led:
            return point["step"]
        visible_led = visible_led or not ahead
    return None


def tap_encoder(method: Any, batch: Batch) -> Tap:
    """The encoder's blocks on the whole pictures."""
    record = Record(attention=True)
    method.encoder(batch["image"], record=record, places=_places(method, batch))
    if not record.tokens:
        raise TypeError(f"{type(method.encoder).__name__} does not record its blocks; analyse a method with a ViT")
    return _tap(record, math.prod(method.encoder.grid_of(batch["image"])))


def tap_decoder(method: Any, batch: Batch, mask: Mask) -> Tap | None:
    """The decoder's blocks under a mask, or None where there is no decoder of blocks over all places."""
    if not callable(getattr(method, "predict", None)):
        return None
    record = Record(attention=True)
    method.predict(batch, mask, record)
    n = mask.hidden.shape[-1]
    if not record.tokens or record.tokens[0].shape[1] < n or len(record.maps) != len(record.tokens):
        return None
    return _tap(record, n)


def _tap(record: Record, n: int) -> Tap:
    prefix = record.tokens[0].shape[1] - n
    return Tap([tokens[:, prefix:] for tokens in record.tokens], record.maps, prefix)


def _places(method: Any, batch: Batch) -> Tensor | None:
    return method.places(batch) if callable(getattr(method, "places", None)) else None


def _chunks(batches: Iterable[Batch], images: int) -> Iterator[Batch]:
    """The first `images` pictures, a few at a time."""
    left = images
    for batch in batches:
        chosen = {key: value[:left] for key, value in batch.items() if key in ("image", "image_valid")}
        count = chosen["image"].shape[0]
        for first in range(0, count, CHUNK):
            yield {key: value[first : first + CHUNK] for key, value in chosen.items()}
        left -= count
        if left <= 0:
            return
    if left == images:
        raise ValueError("there are no pictures to analyse; pass at least one batch and images >= 1")


def _settings(method: Any, batch: Batch, ratio: float, temperature: float, solver: str, seed: int) -> Settings:
    if not hasattr(method, "encoder") or not hasattr(method.encoder, "grid_of"):
        raise TypeError(f"{type(method).__name__} has no encoder of patches on a grid; this analysis needs tokens")
    grid = method.encoder.grid_of(batch["image"])
    if min(grid) < 2:
        raise ValueError(f"a grid of {grid[0]}x{grid[1]} has no neighbours to compare; use smaller patches")
    keep_count(math.prod(grid), ratio)
    return Settings(grid, method.encoder.patch_size, ratio, temperature, solver, seed)


def _measured(method: Any, step: int | None, chunks: list[Batch], settings: Settings, final: Any) -> dict[str, Any]:
    """All metrics of one state of training."""
    tables: dict[str, list[dict[str, Tensor]]] = {"encoder": [], "decoder": []}
    generator = torch.Generator().manual_seed(settings.seed)
    with torch.inference_mode(), frozen(method), frozen(final):
        for chunk in chunks:
            for name, table in _measure_batch(method, chunk, settings, final, generator).items():
                tables[name].append(table)
    return {"step": step, **{name: _means(rows) for name, rows in tables.items()}}


def _measure_batch(
    method: Any, chunk: Batch, settings: Settings, final: Any, generator: torch.Generator
) -> dict[str, dict[str, Tensor]]:
    n = math.prod(settings.grid)
    count = chunk["image"].shape[0]
    noise = torch.rand(count, n, generator=generator)
    tables = {}
    taps = _whole_taps(method, chunk)
    finals = taps if method is final else _whole_taps(final, chunk)
    for name, tap in taps.items():
        tables[name] = _layer_table(tap, finals[name], settings)
    if "decoder" in taps:
        batch = to_device(chunk, _device(method))
        mask = Mask.from_scores(noise.to(_device(method)), keep_count(n, settings.ratio))
        masked = tap_decoder(method, batch, mask)
        tables["decoder"] |= {} if masked is None else _mask_table(masked, mask)
    return tables


def _whole_taps(method: Any, chunk: Batch) -> dict[str, Tap]:
    """Encoder and, where there is one, decoder on whole pictures."""
    batch = to_device(chunk, _device(method))
    places = _places(method, batch)
    if places is not None and not places.all():
        raise ValueError("a picture has patches that are all padding; crop or squash the pictures instead of padding")
    grid = method.encoder.grid_of(batch["image"])
    nothing = Mask.nothing(len(batch["image"]), math.prod(grid), device=batch["image"].device)
    decoder = tap_decoder(method, batch, nothing)
    return {"encoder": tap_encoder(method, batch)} | ({} if decoder is None else {"decoder": decoder})


def _layer_table(tap: Tap, final: Tap, settings: Settings) -> dict[str, Tensor]:
    """Metrics of whole pictures, each [layers b ...]."""
    rows: list[dict[str, Tensor]] = []
    for layer, tokens in enumerate(tap.tokens):
        tokens = tokens.float()
        relations, attention = tap.relations(layer), tap.attention(layer)
        edges = attention.mean(1)
        own = tap.cut(layer, settings.solver)
        last = own if tap is final else final.cut(layer, settings.solver)
        forward, backward = relation_divergence(relations, final.relations(layer), settings.temperature)
        distance = attention_distance(attention, settings.grid, settings.patch)
        rows.append(
            {
                "feature_variance": feature_variance(tokens),
                "similarity_variance": similarity_variance(relations),
                "gap_similarity": cluster_gap(relations, own),
                "gap_attention": cluster_gap(edges, own),
                "gap_similarity_final_cut": cluster_gap(relations, last),
                "gap_attention_final_cut": cluster_gap(edges, last),
                "divergence_to_final": forward,
                "divergence_from_final": backward,
                "information": attention_information(attention).mean(1),
                "distance": distance.mean(1),
                "distance_heads": distance,
                "amplitude": relative_amplitude(tokens, settings.grid),
            }
        )
    return {key: torch.stack([row[key] for row in rows]).cpu() for key in rows[0]}


def _mask_table(tap: Tap, mask: Mask) -> dict[str, Tensor]:
    """Metrics that need mask tokens, each [layers b]."""
    visible, masked, before = exploitation_by_layer(tap.maps, mask.hidden, tap.prefix)
    variances = [hidden_variance(tokens.float(), mask.hidden) for tokens in tap.tokens]
    unit = [hidden_variance(tokens.float(), mask.hidden, unit=True) for tokens in tap.tokens]
    table = {"from_visible": visible, "from_hidden": masked, "from_prefix": before}
    table |= {"mask_token_variance": torch.stack(variances), "mask_token_variance_unit": torch.stack(unit)}
    return {key: value.cpu() for key, value in table.items()}


def _means(tables: list[dict[str, Tensor]]) -> dict[str, Any] | None:
    """Mean and standard deviation over pictures; a picture whose cut has one side does not count for the gap."""
    if not tables:
        return None
    joined = {key: torch.cat([table[key] for table in tables], dim=1).double() for key in tables[0]}
    means = {key: value.nanmean(1) for key, value in joined.items()}
    spread = {key: (value - means[key].unsqueeze(1)).square().nanmean(1).sqrt() for key, value in joined.items()}
    return {key: _plain(value) for key, value in means.items()} | {
        "spread": {key: _plain(value) for key, value in spread.items() if value.ndim == 1}
    }


def _plain(values: Tensor) -> list:
    """Lists in which a number that does not exist is None."""
    if values.ndim > 1:
        return [_plain(value) for value in values]
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _notes(last: dict[str, Any], training: list[dict[str, Any]]) -> list[str]:
    notes = []
    if not training:
        notes.append("One checkpoint: plots over training show a single point, and the KL to the final relations is 0.")
    if last["decoder"] is None:
        notes.append("The method has no decoder with blocks over all places: decoder metrics are left out.")
    return notes


def _device(method: Method) -> torch.device:
    return next(method.parameters()).device
