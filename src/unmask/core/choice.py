"""Named choices, checked at the border."""

from collections.abc import Iterable


def check_choice(name: str, value: str, known: Iterable[str]) -> None:
    """Raises ValueError, with the known values, for one that is not among them."""
    if value not in known:
        raise ValueError(f"{name} {value!r} is unknown; choose one of {', '.join(known)}")
