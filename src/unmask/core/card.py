"""Card and Recipe: what a system is, and how its paper trained it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """What a system is. `id` is its number in the catalogue; `usual` says what probes normally give.

    data: the kind of data that it works on, `also`: further kinds.
    """

    title: str
    paper: str
    year: int
    data: str
    hides: str
    predicts: str
    family: str
    id: int
    claim: str = ""
    usual: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """How the paper trained it. Learning rates are per 256 samples of the effective batch."""

    optimizer: str = "adamw"
    lr: float = 1.5e-4
    batch: int = 4096
    epochs: float = 800
    warmup: float = 40
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float | None = None
    crop: tuple[float, float] | None = (0.2, 1.0)
    flip: bool = True
    ema: float | None = None
