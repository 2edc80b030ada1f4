"""Plan: every number of a training, decided before it starts."""

from dataclasses import asdict, dataclass

from unmask.core import Recipe

SAMPLES_PER_RATE = 256  # published learning rates are quoted per this many samples of the effective batch
DEFAULT_BATCH = 256  # effective batch where the user names none and the recipe's is larger


@dataclass(frozen=True)
class Plan:
    """What a training does. `batch` is the effective one, over processes and accumulation; `lr` is absolute.

    precision: "fp32" or "bf16". Intervals are in steps. clip: largest gradient norm, None to only log it.
    """

    steps: int
    batch: int
    samples: int
    lr: float
    warmup: float
    optimizer: str
    weight_decay: float
    betas: tuple[float, float]
    clip: float | None
    ema: float | None
    seed: int
    accumulation: int
    precision: str
    compile: bool
    log_every: int
    save_every: int
    monitor_every: int

    def __post_init__(self):
        if self.steps < 0 or self.batch < 1 or self.accumulation < 1:
            raise ValueError(
                f"steps {self.steps}, batch {self.batch}, accumulation {self.accumulation}: the first may not be"
                " negative, the others must be at least 1"
            )
        if self.steps and self.warmup >= self.steps:
            raise ValueError(
                f"warm-up of {self.warmup:.0f} steps fills all {self.steps} steps; train longer or warm up less"
            )

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict) -> "Plan":
        return cls(**{**values, "betas": tuple(values["betas"])})


def make_plan(
    recipe: Recipe,
    samples: int,
    *,
    epochs: float | None = None,
    steps: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    warmup: float | None = None,
    seed: int = 0,
    accumulation: int = 1,
    precision: str = "fp32",
    compile: bool = False,
    clip: float | None = None,
    ema: float | None = None,
    save_every: int | None = None,
    monitor_every: int | None = None,
    log_every: int | None = None,
) -> Plan:
    """The recipe on `samples` training samples.

    lr: base rate per 256 samples. warmup: epochs; default: the recipe's share of the training.
    """
    if epochs is not None and steps is not None:
        raise ValueError(f"epochs {epochs} and steps {steps} both say how long to train; give one")
    batch = batch or min(recipe.batch, DEFAULT_BATCH, samples)
    if steps is None:
        steps = round((recipe.epochs if epochs is None else epochs) * samples / batch)
    share = recipe.warmup / recipe.epochs if recipe.epochs else 0.0
    warm = share * steps if warmup is None else warmup * samples / batch
    return Plan(
        steps=steps,
        batch=batch,
        samples=samples,
        lr=(recipe.lr if lr is None else lr) * batch / SAMPLES_PER_RATE,
        warmup=warm,
        optimizer=recipe.optimizer,
        weight_decay=recipe.weight_decay,
        betas=recipe.betas,
        clip=recipe.clip if clip is None else clip,
        ema=recipe.ema if ema is None else ema,
        seed=seed,
        accumulation=accumulation,
        precision=precision,
        compile=compile,
        log_every=log_every or max(1, min(50, steps // 100)),
        save_every=save_every or max(1, steps // 20),
        monitor_every=monitor_every or max(1, steps // 10),
    )
