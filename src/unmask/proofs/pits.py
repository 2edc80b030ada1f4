"""Patches embedded independently, with contrast, forecast better than patches learnt by predicting hidden ones.

Arms: PITS; the same predicting the patches that a view does not see; the same without contrast; the same network
untrained. Measured: mean squared error of the next 96 rows of ETTh1 on all test windows, after fine-tuning head and
network alike for all arms, and beside them a ridge on raw windows, which needs no network.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from unmask.app.measures.forecasting import batches_of_part, parts_of, windows
from unmask.app.runs import load
from unmask.app.watching import spread
from unmask.data.series_views import SeriesView
from unmask.data.stream import TrainingStream
from unmask.evaluate.forecast_tuning import tune
from unmask.evaluate.forecasting import errors, fitted, raw_window, repeated
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.presets import Preset
from unmask.train.engine import choose_device

NOTE = (
    "What is predicted matters as in the paper; contrast and pretraining itself move the error by hardly more than"
    " seeds do after 8 epochs, and a ridge on raw windows is ahead of all arms."
)
DATA = ("ett/ETTh1.csv",)
HORIZON = 96
SMALL = 20_000  # training samples up to which a preset counts as small
EPOCHS = {True: 8, False: 100}  # of pretraining
TUNING = {True: (1, 4), False: (5, 10)}  # epochs of the head alone, and of everything
RATE, TUNING_RATE, BATCH = 4e-3, 5e-4, 64  # the first per 256 samples
SETTINGS: dict[str, Any] = {"length": 512, "patch_size": 12, "width": 128}


def arms_of(preset: Preset) -> list[Arm]:
    """PITS, predicting what is hidden, without contrast, untrained, in this order."""
    epochs = EPOCHS[preset.limit <= SMALL]
    pits = Arm("pits", "pits", SETTINGS, epochs, RATE, BATCH, epochs * 0.3)
    predicting, alone = (
        replace(pits, name=name, settings={**SETTINGS, **change})
        for name, change in (("predicting hidden patches", {"task": "PD"}), ("without contrast", {"contrast": "none"}))
    )
    return [pits, predicting, alone, replace(pits, name="untrained", epochs=0)]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    epochs = TUNING[preset.limit <= SMALL]
    laboratory.train(arms, seeds, f"forecast {epochs}")
    numbers = {
        arm.name: [
            laboratory.noted(arm, seed, f"forecast {epochs}", partial(tuned, laboratory, arm, seed, epochs))
            for seed in seeds
        ]
        for arm in arms
    }
    rules = laboratory.noted(arms[-1], seeds[0], "rules", partial(without_network, laboratory, arms[-1], seeds[0]))
    claims = []
    for other, words in (
        ("predicting hidden patches", "predicting hidden patches"),
        ("without contrast", "the same without contrast"),
        ("untrained", "the same network untrained"),
    ):
        gain = difference(numbers, other, "pits", "mse")
        claims.append(Claim(f"squared error: PITS below {words}", clear(gain), gain))
    gain = summary([rules["raw"] - row["mse"] for row in numbers["pits"]])
    claims.append(Claim("squared error: PITS below a ridge on raw windows", clear(gain), gain))
    return Findings(arms, seeds, numbers, claims, [NOTE], extra={"without a network": rules})


def tuned(laboratory: Laboratory, arm: Arm, seed: int, epochs: tuple[int, int]) -> dict[str, float]:
    """Test errors of the arm's network, fine-tuned to forecast."""
    loaded, parts, batches, card = _forecasts(laboratory, arm, seed)
    steps = max(1, len(parts["train"]) // BATCH)
    stream = TrainingStream(
        parts["train"],
        card,
        SeriesView(loaded.config.settings["length"]),
        seed=seed,
        batch=min(BATCH, len(parts["train"])),
        steps=steps * sum(epochs),
        budget=1.0,
    )
    head, everything = epochs
    device = choose_device(laboratory.device)
    found = tune(
        loaded.method,
        stream,
        batches["validation"],
        batches["test"],
        steps=steps,
        epochs=everything,
        head_epochs=head,
        lr=TUNING_RATE,
        seed=seed,
        device=device,
    )
    laboratory.say(f"{arm.name}, seed {seed}: squared error {found.test['mse']:.4f}")
    return found.test


def without_network(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    """Squared errors of a ridge on raw windows and of the last value repeated, on the windows of the arms."""
    _, _, batches, _ = _forecasts(laboratory, arm, seed)
    device = choose_device(laboratory.device)
    head, _ = fitted(raw_window, batches["train"], batches["validation"], device)
    return {
        "raw": errors(head, batches["test"], device).scores["mse"],
        "repeated": errors(repeated, batches["test"], device).scores["mse"],
    }


def _forecasts(laboratory: Laboratory, arm: Arm, seed: int):
    """The arm's run, its windows with the rows to forecast, in parts and as batches, and their card."""
    loaded = load(laboratory.trained(arm, seed))
    source, card = windows(loaded, None, HORIZON)
    most = {"train": laboratory.limit, "validation": laboratory.test, "test": laboratory.test}
    parts = {name: spread(part, most[name]) for name, part in parts_of(source).items()}
    return loaded, parts, {name: batches_of_part(part, card, loaded) for name, part in parts.items()}, card
