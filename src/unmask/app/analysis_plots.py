"""Curves over layers and over training, one picture per question."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.app.pictures import save_png
from unmask.evaluate.analysis.attention import place_distances

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENCODER, DECODER = "#1f5fa8", "#d9661f"
VISIBLE, HIDDEN, BEFORE = "#2a9d8f", "#c8374a", "#8a8a8a"
PARTS = {"encoder": ENCODER, "decoder": DECODER}
MAPS = {"encoder": "Blues", "decoder": "Oranges"}


def draw_curves(folder: Path, findings: dict[str, Any]) -> dict[str, str]:
    """Writes one PNG per question; returns their names."""
    drawn = {}
    for name, draw in QUESTIONS.items():
        if name == "exploitation" and not findings["decoder"]:
            continue
        drawn[name] = save_png(draw(findings), folder / f"{name}.png").name
    return drawn


def gap(findings: dict[str, Any]) -> "Figure":
    figure, axes = _canvas(2, 2, "Gap between edges within and between the two clusters")
    for column, (key, title) in enumerate({"gap_similarity": "similarity", "gap_attention": "attention"}.items()):
        over, layers = axes[0, column], axes[1, column]
        for name, colour in _parts(findings):
            _course(over, findings, name, key, colour, f"{name}, own cut")
            if len(findings["training"]) > 1:
                _course(over, findings, name, f"{key}_final_cut", colour, f"{name}, final cut", dashed=True)
            _layers(layers, findings, name, key, colour)
        for axis in (over, layers):
            axis.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
            axis.set_ylabel(f"gap, {title} edges")
            axis.legend(fontsize=8, frameon=False)
        over.set_title("over training, last layers", fontsize=10)
        layers.set_title("over layers, final network", fontsize=10)
    return _said(
        figure,
        "Mean edge within clusters minus mean edge between them; the clusters are each layer's own two-way normalised "
        "cut, or the final network's. Bands: two standard errors over pictures.",
        findings,
    )


def divergence(findings: dict[str, Any]) -> "Figure":
    figure, axes = _canvas(2, len(_parts(findings)), "How far the relations are from the final ones")
    for column, (name, _) in enumerate(_parts(findings)):
        for row, (key, title) in enumerate(
            {"divergence_to_final": "KL(now || final)", "divergence_from_final": "KL(final || now)"}.items()
        ):
            axis = axes[row, column]
            depth = len(findings[name][key])
            for layer in range(depth):
                _course(axis, findings, name, key, _shade(name, layer, depth), str(layer + 1), layer=layer, band=False)
            axis.set_ylabel(f"{title}, nats")
            axis.set_title(f"{name}, by layer", fontsize=10)
            axis.set_ylim(bottom=0)
            _bar(figure, axis, name, depth)
    return _said(
        figure,
        f"Rows of the cosine relations as distributions (softmax at temperature {findings['temperature']:g}), mean "
        "over rows and pictures; 0 at the last checkpoint by definition.",
        findings,
    )


def exploitation(findings: dict[str, Any]) -> "Figure":
    figure, axes = _canvas(1, 2, "What builds the output at hidden places")
    kinds = {
        "from_visible": ("visible places", VISIBLE),
        "from_hidden": ("mask tokens", HIDDEN),
        "from_prefix": ("class token", BEFORE),
    }
    for key, (label, colour) in kinds.items():
        _course(axes[0, 0], findings, "decoder", key, colour, label)
        _layers(axes[0, 1], findings, "decoder", key, colour, label)
    if findings["crossing"] is not None:
        axes[0, 0].axvline(findings["crossing"], color="#555555", linewidth=0.8, linestyle="--", zorder=0)
        place = (findings["crossing"], 0.98)
        axes[0, 0].annotate("mask tokens overtake", place, fontsize=7, rotation=90, ha="right", va="top")
    for axis, title in zip(
        axes[0], ("over training, whole decoder", "over decoder layers, final network"), strict=True
    ):
        axis.set_title(title, fontsize=10)
        axis.set_ylim(0, 1)
        axis.set_ylabel("share of the output")
        axis.axhline(findings["ratio"], color=HIDDEN, linewidth=0.8, linestyle=":", zorder=0)
        axis.legend(fontsize=8, frameon=False)
    return _said(
        figure,
        f"Attention rollout of the decoder with {findings['ratio']:.0%} hidden at random, residual paths counted as "
        "one half; the three shares add to 1. Dotted: the share of mask tokens among places, which they would get if "
        "all places counted alike.",
        findings,
    )


def attention(findings: dict[str, Any]) -> "Figure":
    figure, axes = _canvas(1, 2, "Attention by layer")
    for name, colour in _parts(findings):
        heads = findings[name]["distance_heads"]
        x = [layer + 1 for layer, values in enumerate(heads) for _ in values]
        axes[0, 0].scatter(x, [v for values in heads for v in values], s=9, color=colour, alpha=0.35, linewidths=0)
        _layers(axes[0, 0], findings, name, "distance", colour, band=False)
        _layers(axes[0, 1], findings, name, "information", colour)
    uniform = _uniform_distance(findings)
    axes[0, 0].axhline(uniform, color="#999999", linewidth=0.8, linestyle=":", zorder=0, label="uniform attention")
    axes[0, 0].set_ylim(bottom=0)
    axes[0, 0].set_ylabel("attention distance, pixels")
    axes[0, 1].set_ylim(bottom=0)
    axes[0, 1].set_ylabel("NMI of query and key")
    for axis in axes[0]:
        axis.legend(fontsize=8, frameon=False)
    return _said(
        figure,
        "Attention between patches of whole pictures, class token left out. Left: how far queries look, dots are "
        "heads. Right: 0 when all queries attend alike, 1 when each attends to its own place.",
        findings,
        training=False,
    )


def fourier(findings: dict[str, Any]) -> "Figure":
    parts = _parts(findings)
    figure, axes = _canvas(1, len(parts) + 1, "Frequencies of the feature maps")
    x = [f / math.pi for f in findings["frequencies"]]
    for axis, (name, colour) in zip(axes[0], parts, strict=False):
        curves = findings[name]["amplitude"]
        for layer, curve in enumerate(curves):
            axis.plot(x, curve, color=_shade(name, layer, len(curves)), linewidth=1.6)
        axis.set_xlabel("frequency, units of π")
        axis.set_ylabel("log amplitude relative to frequency 0")
        axis.set_title(f"{name}, by layer", fontsize=10)
        _bar(figure, axis, name, len(curves))
        last = [curve[-1] for curve in curves]
        axes[0, -1].plot(range(1, len(last) + 1), last, "o-", color=colour, markersize=4, label=name)
    low = min(axis.get_ylim()[0] for axis in axes[0, :-1])
    for axis in axes[0, :-1]:
        axis.set_ylim(low, 0.1)
    _whole_numbers(axes[0, -1], max(len(findings[name]["amplitude"]) for name, _ in parts))
    axes[0, -1].set_title("at the highest frequency", fontsize=10)
    axes[0, -1].set_ylabel("relative log amplitude")
    axes[0, -1].legend(fontsize=8, frameon=False)
    return _said(
        figure,
        "Two-dimensional Fourier transform of every layer's feature map along the half diagonal, mean over channels "
        "and whole pictures; higher curves hold more fine detail.",
        findings,
        training=False,
    )


def variances(findings: dict[str, Any]) -> "Figure":
    figure, axes = _canvas(1, 4 if findings["decoder"] else 2, "Variances by layer")
    for name, colour in _parts(findings):
        _layers(axes[0, 0], findings, name, "feature_variance", colour)
        _layers(axes[0, 1], findings, name, "similarity_variance", colour)
    titles = ["features, $\\sigma_F$", "similarities, $\\sigma_S$"]
    if findings["decoder"]:
        _layers(axes[0, 2], findings, "decoder", "mask_token_variance", DECODER)
        _layers(axes[0, 3], findings, "decoder", "mask_token_variance_unit", DECODER)
        titles += ["mask tokens, per channel", "mask tokens, unit length"]
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
        axis.set_ylim(bottom=0)
        axis.set_ylabel("variance")
        axis.legend(fontsize=8, frameon=False)
    said = (
        "Features: mean squared distance of unit-length tokens to their mean; similarities: variance of the cosines of "
    )
    said += "different tokens; whole pictures."
    if findings["decoder"]:
        said += f" Mask tokens: variance over hidden places with {findings['ratio']:.0%} hidden."
    return _said(figure, said + " Bands: two standard errors over pictures.", findings, training=False)


QUESTIONS = {
    "gap": gap,
    "divergence": divergence,
    "exploitation": exploitation,
    "attention": attention,
    "fourier": fourier,
    "variances": variances,
}


def _canvas(rows: int, columns: int, title: str):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * columns + 0.4, 2.7 * rows + 0.9), dpi=150, layout="constrained")
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="#eeeeee", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.tick_params(labelsize=8)
    return figure, axes


def _said(figure, caption: str, findings: dict[str, Any], training: bool = True) -> "Figure":
    """Adds the caption, which says when there is no course to see."""
    if training and len(findings["training"]) == 1:
        caption += " One checkpoint: over training there is a single point, not a course."
    caption += f" {findings['images']} pictures."
    figure.supxlabel(caption, fontsize=7.5, color="#444444", x=0.01, ha="left", wrap=True)
    return figure


def _parts(findings: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, colour) for name, colour in PARTS.items() if findings[name]]


def _course(axis, findings, name, key, colour, label, *, layer=-1, dashed=False, band=True) -> None:
    """One layer's metric over the checkpoints."""
    points = findings["training"]
    single = points[0]["step"] is None
    x = [0] if single else [point["step"] for point in points]
    y = _numbers(point[name][key][layer] for point in points)
    axis.plot(x, y, "--" if dashed else "o-", color=colour, markersize=4, linewidth=1.6, label=label)
    if band and not dashed:
        spread = _numbers(point[name]["spread"][key][layer] for point in points)
        _band(axis, x, y, spread, findings["images"], colour)
    if single:
        axis.set_xticks([0], ["final"])
    axis.set_xlabel("" if single else "step")


def _layers(axis, findings, name, key, colour, label=None, band=True) -> None:
    """The final network's metric over its layers."""
    y = _numbers(findings[name][key])
    x = list(range(1, len(y) + 1))
    axis.plot(x, y, "o-", color=colour, markersize=4, linewidth=1.6, label=label or name)
    if band:
        _band(axis, x, y, _numbers(findings[name]["spread"][key]), findings["images"], colour)
    _whole_numbers(axis, max(len(y), int(axis.get_xlim()[1])))


def _band(axis, x, y, spread, images: int, colour) -> None:
    """Two standard errors of the mean over pictures, on either side."""
    errors = [2 * s / math.sqrt(images) for s in spread]
    if len(x) > 1:
        low, high = ([v + sign * e for v, e in zip(y, errors, strict=True)] for sign in (-1, 1))
        axis.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
    else:
        axis.errorbar(x, y, errors, color=colour, capsize=3, linewidth=1)


def _numbers(values) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _whole_numbers(axis, depth: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_xlabel("layer")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=min(depth, 12) + 1))


def _shade(name: str, layer: int, depth: int):
    """Light for early layers, dark for late ones."""
    from matplotlib import colormaps

    return colormaps[MAPS[name]](0.35 + 0.6 * layer / max(depth - 1, 1))


def _bar(figure, axis, name: str, depth: int) -> None:
    """A scale that says which shade is which layer."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    shades = ListedColormap([_shade(name, layer, depth) for layer in range(depth)])
    norm = BoundaryNorm([layer + 0.5 for layer in range(depth + 1)], depth)
    ticks = range(1, depth + 1, max(1, depth // 6))
    bar = figure.colorbar(ScalarMappable(norm, shades), ax=axis, ticks=list(ticks), aspect=30, pad=0.02)
    bar.set_label("layer", fontsize=8)
    bar.ax.tick_params(labelsize=7, length=0)
    bar.outline.set_visible(False)


def _uniform_distance(findings: dict[str, Any]) -> float:

    return float(place_distances(tuple(findings["grid"]), findings["patch"]).mean())
