"""What a network has learned beside what the theory of its equations says of the end of learning."""

from unmask.app.measure import Asked, Measured
from unmask.app.runs import Loaded
from unmask.app.synthetic_plots import compared


def measure(loaded: Loaded, asked: Asked) -> Measured:
    """Predicted and measured, feature by feature. Raises ValueError for a method without a theory of its data."""
    if not hasattr(loaded.method, "compared"):
        raise ValueError(f"{loaded.config.method} has no theory to be compared with; theory needs a synthetic study")
    found, lines = {}, []
    for name, (predicted, measured) in compared(loaded.method, loaded.card).items():
        error = (measured / predicted - 1).abs()
        found[name] = {
            "predicted": predicted.tolist(),
            "measured": measured.tolist(),
            "largest error": float(error.max()),
        }
        lines.append(f"{name:<16}{'at the end':>12}{'now':>12}")
        rows = zip(loaded.card.channels, predicted.tolist(), measured.tolist(), strict=True)
        lines += [f"{feature:<16}{end:>12.4f}{now:>12.4f}" for feature, end, now in rows]
    return Measured(found, "\n".join(lines))
