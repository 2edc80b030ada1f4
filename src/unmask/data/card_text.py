"""The data card as aligned text."""

from collections.abc import Sequence
from typing import Any

from unmask.data.card import DataCard
from unmask.data.picture import channel_words

MOST_ROWS = 12  # of channels, reasons and names before the rest is counted


def card_text(card: DataCard, view=None, estimate: str | None = None) -> str:
    """One fact a line; see `DataCard.to_text`."""
    rows = [
        ("data", card.origin),
        ("pictures", f"{card.count:,} ({byte_words(card.bytes)}); measured {card.measured:,}"),
        ("classes", class_words(card)),
        ("splits", ", ".join(f"{name} {count:,}" for name, count in card.splits.items()) or "none"),
        ("sizes", size_words(card)),
        ("channels", f"{len(card.channels)}: {channel_words(card.channels)}"),
        ("type", f"{card.dtype}, {min(card.minimum):g} to {max(card.maximum):g}"),
    ]
    if len(card.kinds) > 1:
        rows += [("mixed" if i == 0 else "", f"{n:,} x {kind}") for i, (kind, n) in enumerate(card.kinds.items())]
    if card.targets:
        rows.append(("masks", f"{card.targets:,} pictures have a segmentation mask"))
    if card.missing:
        rows.append(("missing", f"{card.missing:.2%} of the pixels (not a number, or no data)"))
    rows.append(("duplicates", named_few(card.duplicates, "equals") or f"none among {card.measured:,}"))
    rows.append(("unreadable", named_few(card.unreadable, "") or f"none among {card.measured:,}"))
    return laid_out(card, rows, view, estimate, statistics_table(card))


def laid_out(card: Any, rows: list[tuple[str, str]], view: Any, estimate: str | None, table: Sequence[str] = ()) -> str:
    """Named facts of any card, one a line, then what the view would do with the data, and a table.

    view: the training view, if there is one. estimate: of the time that training takes.
    """
    training = [] if view is None else view.sentences(card)
    rows = [*rows, *(("training" if i == 0 else "", line) for i, line in enumerate(training))]
    rows += [("estimate", estimate)] if estimate else []
    rows.append(("fingerprint", card.fingerprint[:16]))
    return "\n".join([*(f"{name:<12} {text}" for name, text in rows), *(["", *table] if table else [])])


def statistics_table(card: Any) -> list[str]:
    width = max(7, *(len(name) for name in card.channels[:MOST_ROWS]))
    lines = [f"{'channel':<{width}} {'minimum':>12} {'maximum':>12} {'mean':>12} {'std':>12}"]
    columns = zip(card.channels, card.minimum, card.maximum, card.mean, card.std, strict=True)
    for name, *numbers in list(columns)[:MOST_ROWS]:
        lines.append(f"{name:<{width}} " + " ".join(f"{number:>12.6g}" for number in numbers))
    if len(card.channels) > MOST_ROWS:
        lines.append(f"... and {len(card.channels) - MOST_ROWS} more channels")
    return lines


def class_words(card: Any) -> str:
    if not card.classes:
        return "none (not needed for pretraining)"
    shown = ", ".join(card.classes[:MOST_ROWS])
    return f"{len(card.classes)}: {shown}{', ...' if len(card.classes) > MOST_ROWS else ''}"


def size_words(card: Any) -> str:
    small, middle, large = (f"{h}x{w}" for h, w in card.sizes)
    return f"all {small}" if small == large else f"{small} to {large}, median {middle} (height x width)"


def named_few(found: dict[str, str], verb: str) -> str:
    shown = [f"{name} {verb} {text}".replace("  ", " ") for name, text in list(found.items())[:MOST_ROWS]]
    more = f"\n{'':<12} ... and {len(found) - MOST_ROWS} more" if len(found) > MOST_ROWS else ""
    return "" if not found else f"{len(found):,}" + "".join(f"\n{'':<12}   {line}" for line in shown) + more


def byte_words(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
