"""How well a run predicts recorded actions from where they led; needs no simulator."""

from unmask.app.looking import batches_of, pictures_of
from unmask.app.measure import Asked, Measured
from unmask.app.runs import Loaded
from unmask.app.watching import spread
from unmask.evaluate.goals import goal_errors

AHEAD = 16  # steps, as far as the reference looks at least


def measure(loaded: Loaded, asked: Asked, *, ahead: int = AHEAD) -> Measured:
    """Squared error of the next `ahead` actions of the test windows, told the state of now and one goal, goals at every
    quarter of the way, or none. Raises ValueError for a method that does not plan."""
    if not hasattr(loaded.method, "plan"):
        raise ValueError(f"{loaded.config.method} does not plan actions; goals need a method that does")
    source = pictures_of(loaded, asked.data)
    splits = source.splits()
    if "test" not in splits or "train" not in splits:
        raise ValueError(f"{source.origin} has no test episodes; give at least three, or folders named train and test")
    parts = {name: source.subset(splits[name]) for name in ("train", "test")}
    if asked.limit is not None:
        parts = {name: spread(part, asked.limit) for name, part in parts.items()}
    batches = {name: batches_of(loaded, part) for name, part in parts.items()}
    found = goal_errors(loaded.method, batches["train"], batches["test"], on_the_way(ahead), asked.device)
    faults = {name: reason for part in batches.values() for name, reason in part.faults.items()}
    rows = [f"{name:24}{error:>9.4f}" for name, error in found.items()]
    head = f"the next {ahead} actions of {len(parts['test']):,} test windows, on the scale of -1 to 1"
    return Measured({"ahead": ahead, "windows": len(parts["test"]), "mse": found}, "\n".join([head, *rows]), faults)


def on_the_way(ahead: int) -> tuple[int, ...]:
    """Steps to goals at every quarter of the way; fewer where it is short. Raises ValueError for no step."""
    if ahead < 1:
        raise ValueError(f"ahead {ahead} leads nowhere; give at least 1")
    return tuple(sorted({max(1, ahead * quarter // 4) for quarter in (1, 2, 3, 4)}))
