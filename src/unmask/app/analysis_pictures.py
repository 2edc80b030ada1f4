"""Relations and clusters of the last layers, laid over the pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unmask.app.pictures import Display, display, save_png
from unmask.data.card import DataCard
from unmask.evaluate.analysis.attention import class_attention, place_attention
from unmask.parts.ops.clustering import affinity, bipartition, recursive_clusters
from unmask.parts.ops.relations import cosine_relations

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LIMIT = 9  # most clusters of a picture
SHARPNESS = 0.1  # K-way edges are exp((cosine - 1) / SHARPNESS): plain cosines of real features hide all but one cut
COST = 0.7  # a cluster is split while that costs less; 2 to 9 clusters on photographs
HEAT = "magma"
CLUSTERS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee8833", "#777777", "#88aa00")
SIDES = ("#3b4cc0", "#f2b134")


def draw_pictures(
    folder: Path, image: Float[Tensor, "b c h w"], taps: dict, grid: tuple[int, int], card: DataCard | None, seed: int
) -> dict[str, str]:
    """Writes relations.png and clusters.png; returns their names.

    taps: of "encoder" and perhaps "decoder" on these pictures. card: un-standardises the pictures; without it they
    are shown over their own range.
    """
    drawn = stretched(image) if card is None else display(card, image)
    said = drawn.words + ("" if card is None else ", un-standardised with the data card's mean and deviation")
    pictures = drawn(image).movedim(1, -1)
    save_png(draw_relations(pictures, taps, grid, said), folder / "relations.png")
    save_png(draw_clusters(pictures, taps, grid, said, seed), folder / "clusters.png")
    return {"relations": "relations.png", "clusters": "clusters.png"}


def stretched(image: Float[Tensor, "b c h w"]) -> Display:
    """The first one or three channels over the range they have in these pictures."""
    channels = image.shape[1]
    shown = 3 if channels >= 3 else 1
    low, high = float(image[:, :shown].min()), float(image[:, :shown].max())
    span = max(high - low, torch.finfo(torch.float32).tiny)
    return Display(
        torch.eye(channels)[:shown] / span, torch.full((shown,), -low / span), "pictures stretched over their range"
    )


def draw_relations(pictures: Float[Tensor, "b h w 3"], taps: dict, grid: tuple[int, int], said: str) -> "Figure":
    """Per picture and network: M, A, likeness to the mean patch, attention of the class token (last layers)."""
    columns = 1 + sum(4 if tap.prefix else 3 for tap in taps.values())
    figure, axes = _canvas(len(pictures), columns)
    for row, picture in enumerate(pictures):
        _show(axes[row, 0], picture, "picture" if row == 0 else "")
        column = 1
        for name, tap in taps.items():
            for title, kind, values in _views(tap):
                axis = axes[row, column]
                if kind == "matrix":
                    low = values[row].min() if title.startswith("M") else 0.0
                    high = 1.0 if title.startswith("M") else values[row].quantile(0.995)
                    axis.imshow(values[row], cmap="viridis" if title.startswith("M") else HEAT, vmin=low, vmax=high)
                else:
                    _overlay(axis, picture, values[row].reshape(grid))
                axis.set_xticks([]), axis.set_yticks([])
                if row == 0:
                    axis.set_title(f"{name}\n{title}", fontsize=9)
                column += 1
    caption = (
        "Last layers, whole pictures. M: cosine of every pair of patches, from each picture's lowest (dark) to 1; A: "
        "attention between patches, mean over heads, rows normalised without the class token; patches in reading "
        f"order. Heat from each map's lowest (dark) to its highest; {said}."
    )
    return _finish(figure, "Relations between patches", caption)


def _views(tap: Any) -> list[tuple[str, str, Tensor]]:
    """Title, kind and values [b ...] of what is shown of one network's last layer."""
    tokens = tap.tokens[-1].float().cpu()
    maps = tap.maps[-1].float().cpu()
    mean = torch.nn.functional.cosine_similarity(tokens, tokens.mean(1, keepdim=True), dim=-1)
    views = [
        ("M: similarity", "matrix", cosine_relations(tokens)),
        ("A: attention", "matrix", place_attention(maps, tap.prefix).mean(1)),
        ("similarity to\nthe mean patch", "heat", mean),
    ]
    return (
        [*views, ("attention of\nthe class token", "heat", class_attention(maps, tap.prefix))] if tap.prefix else views
    )


def draw_clusters(
    pictures: Float[Tensor, "b h w 3"], taps: dict, grid: tuple[int, int], said: str, seed: int
) -> "Figure":
    """Per picture: the two-way cut and the K-way clusters of early, middle and last layers, and a t-SNE map."""
    encoder = taps["encoder"]
    depth = len(encoder.tokens)
    layers = sorted({depth // 4, depth // 2, depth - 1})
    shown = [("encoder", layer) for layer in layers]
    shown += [("decoder", len(taps["decoder"].tokens) - 1)] if "decoder" in taps else []
    figure, axes = _canvas(len(pictures), 3 + len(shown))
    two = bipartition(affinity(encoder.relations(-1))).side.long().cpu()
    found = [picture_clusters(taps[name].tokens[layer].float()).cpu() for name, layer in shown]
    for row, picture in enumerate(pictures):
        _show(axes[row, 0], picture, "picture" if row == 0 else "")
        _regions(axes[row, 1], picture, two[row].reshape(grid), SIDES)
        last = found[len(layers) - 1][row]
        for column, labels in enumerate(found, start=2):
            matched = match_labels(labels[row], last)
            _regions(axes[row, column], picture, matched.reshape(grid), CLUSTERS)
            count = int(labels[row].max()) + 1
            axes[row, column].set_xlabel("1 cluster" if count == 1 else f"{count} clusters", fontsize=8, labelpad=2)
        _scatter(axes[row, -1], encoder.tokens[-1][row].float().cpu().numpy(), last, seed)
    axes[0, 1].set_title(f"encoder {depth}\ntwo-way cut", fontsize=9)
    for column, (name, layer) in enumerate(shown, start=2):
        axes[0, column].set_title(f"{name} {layer + 1}\nK-way cut", fontsize=9)
    axes[0, -1].set_title(f"encoder {depth}\nt-SNE of patches", fontsize=9)
    caption = (
        f"Whole pictures. Two-way: normalised cut of cosines. K-way: recursive cut of exp(cosine / {SHARPNESS:g}) "
        f"while a split costs under {COST:g}, at most {LIMIT} clusters; colours follow the overlap with encoder "
        f"{depth}, whose clusters colour the t-SNE map; {said}."
    )
    return _finish(figure, "Clusters of patches", caption)


def picture_clusters(tokens: Float[Tensor, "b n d"], solver: str = "fast") -> Int64[Tensor, "b n"]:
    """K-way normalised cut of the tokens' relations, numbered by size, largest first."""
    edges = ((cosine_relations(tokens) - 1) / SHARPNESS).exp()
    labels = recursive_clusters(edges, LIMIT, COST, solver=solver)
    sizes = torch.nn.functional.one_hot(labels, LIMIT).sum(1)
    rank = sizes.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return rank.gather(1, labels)


def match_labels(labels: Int64[Tensor, "n"], reference: Int64[Tensor, "n"]) -> Int64[Tensor, "n"]:
    """The same clusters, renumbered so that those which overlap most with a reference cluster share its number."""
    overlap = torch.zeros(LIMIT, LIMIT, dtype=torch.long)
    overlap.index_put_((labels, reference), torch.ones_like(labels), accumulate=True)
    renumbered = torch.full((LIMIT,), -1)
    for place in overlap.flatten().argsort(descending=True, stable=True).tolist():
        own, other = divmod(place, LIMIT)
        if renumbered[own] < 0 and not (renumbered == other).any():
            renumbered[own] = other
    return renumbered[labels]


def _canvas(rows: int, columns: int):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.45 * columns + 0.2, 1.5 * rows + 1.15), dpi=150, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _finish(figure: "Figure", title: str, caption: str) -> "Figure":
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left")
    figure.supxlabel(caption, fontsize=7.5, color="#444444", x=0.01, ha="left", wrap=True)
    return figure


def _show(axis, picture: Tensor, title: str) -> None:
    axis.imshow(picture, vmin=0, vmax=1)
    axis.set_xticks([]), axis.set_yticks([])
    axis.set_title(title, fontsize=9)


def _extent(picture: Tensor, places: Tensor) -> tuple[float, float, float, float]:
    """Patches laid over the picture; a last patch that was padded reaches beyond its edge and is cut there."""
    rows, columns = places.shape
    return -0.5, columns * -(-picture.shape[1] // columns) - 0.5, rows * -(-picture.shape[0] // rows) - 0.5, -0.5


def _overlay(axis, picture: Tensor, values: Tensor) -> None:
    grey = picture.mean(-1)
    axis.imshow(grey, cmap="gray", vmin=0, vmax=1)
    axis.imshow(values, cmap=HEAT, alpha=0.75, extent=_extent(picture, values), interpolation="nearest")
    axis.set_xlim(-0.5, picture.shape[1] - 0.5), axis.set_ylim(picture.shape[0] - 0.5, -0.5)


def _regions(axis, picture: Tensor, labels: Tensor, colours: tuple[str, ...]) -> None:
    from matplotlib.colors import to_rgb

    grey = picture.mean(-1).numpy()[..., None].repeat(3, -1)
    colour = np.array([to_rgb(c) for c in colours])[labels.numpy()]
    axis.imshow(grey * 0.9 + 0.1)
    axis.imshow(colour, alpha=0.6, extent=_extent(picture, labels), interpolation="nearest")
    axis.set_xlim(-0.5, picture.shape[1] - 0.5), axis.set_ylim(picture.shape[0] - 0.5, -0.5)
    axis.set_xticks([]), axis.set_yticks([])


def _scatter(axis, tokens: np.ndarray, labels: Tensor, seed: int) -> None:
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(tokens) - 1) / 3)
    start = "pca" if min(tokens.shape) > 1 else "random"
    flat = TSNE(perplexity=perplexity, init=start, metric="cosine", random_state=seed).fit_transform(tokens)
    axis.scatter(*flat.T, s=5, c=[CLUSTERS[label] for label in labels.tolist()], linewidths=0)
    axis.set_xticks([]), axis.set_yticks([])
    axis.set_box_aspect(1)
    axis.margins(0.08)
