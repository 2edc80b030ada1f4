"""JEPA learns features of high regression coefficient first, the more so the deeper; MAE does not see the coefficient.

Simulated: full matrices from a random balanced start by gradient descent on exact covariances, 1 to 3 layers, features
of equal covariance and different coefficients. Every learning time is compared with the theory's. Trained: both on
samples of a clean feature and a noisy one of slightly larger covariance, up to the moment that the theory puts between
the two; the order turns with the coefficient in deep networks alone, and where the covariances are near each other.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import cast

import torch

from unmask.app.runs import load
from unmask.evaluate.gradient_flow import flow
from unmask.methods.jepa_linear_dynamics import DeepLinear, JepaLinearDynamics
from unmask.parts.ops.linear_dynamics import TARGETS, evolve, final_weight, learning_time
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, summary
from unmask.proofs.presets import Preset

SIGNAL, NOISE = (1.0, 1.05), (0.05, 1.05)  # variances of the clean feature and of the noisy one
DATA = ("static:signal={}x{},noise={}x{},samples=32768".format(*SIGNAL, *NOISE),)
NAMES = {"latent": "jepa", "data": "mae"}
COEFFICIENTS = (0.4, 0.5, 0.6, 0.75, 0.9, 1.0)  # of the simulated features, all of covariance 1
STARTS = {1: 0.02, 2: 0.05, 3: 0.1}  # scale of the weights, by the number of layers
STEPS = {  # time of one update, short beside the fastest change of a weight
    "latent": {1: 0.01, 2: 0.1, 3: 0.5},
    "data": {1: 0.001, 2: 0.005, 3: 0.01},
}
CLOSE = 0.01  # relative error up to which a simulation follows its equation
LAYERS, SCALE, RATE, BATCH = 3, 0.15, {"latent": 1.0, "data": 0.02}, 256  # of the trained networks


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    """The times of the simulations, then the arms; the picture lies beside the result."""
    arms = [arm_of(laboratory, target) for target in TARGETS]
    times = {
        f"{NAMES[target]}, {layers} layers": [
            laboratory.noted(arm, seed, f"simulated {layers}", partial(simulated, layers, target, seed))
            for seed in seeds
        ]
        for arm, target in zip(arms, TARGETS, strict=True)
        for layers in STARTS
    }
    theory = {
        f"{NAMES[target]}, {layers} layers": [learning_time(1.0, c, layers, target, start) for c in COEFFICIENTS]
        for target in TARGETS
        for layers, start in STARTS.items()
    }
    numbers = {
        arm.name: [laboratory.noted(arm, seed, "learned", partial(learned, laboratory, arm, seed)) for seed in seeds]
        for arm in arms
    }
    draw(times, theory, laboratory.arms.parent / "jepa_linear_dynamics.png")
    claims = [*_times(times, theory), *_orders(numbers)]
    return Findings(arms, seeds, numbers, claims, extra={"learning times": times, "by the theory": theory})


def simulated(layers: int, target: str, seed: int) -> list[float]:
    """Times at which full matrices have learned half of every feature."""
    torch.manual_seed(seed)
    method = JepaLinearDynamics(DeepLinear(len(COEFFICIENTS), layers, STARTS[layers]), target).double()
    coefficient = torch.tensor(COEFFICIENTS, dtype=torch.float64)
    first, both, second = (1 / coefficient).diag(), torch.eye(len(coefficient)).double(), coefficient.diag()
    wanted = (0.5 * final_weight(coefficient, layers, target)) ** layers
    expected = [learning_time(1.0, c, layers, target, STARTS[layers]) for c in COEFFICIENTS]
    found = torch.full_like(coefficient, torch.inf)
    last = 1.5 * max(expected)
    places = torch.linspace(0, last, 3000, dtype=torch.float64).tolist()
    before, then = method.strengths(), 0.0
    for now in flow(
        lambda: method.expected(first, both, second), list(method.parameters()), STEPS[target][layers], places
    ):
        strength = method.strengths()
        crossed = (strength >= wanted) & found.isinf()
        part = (wanted - before) / (strength - before).clamp(min=1e-30)  # between two looks, along a straight line
        found = torch.where(crossed, then + part * (now - then), found)
        before, then = strength, now
        if not found.isinf().any():
            break
    return found.tolist()


def arm_of(laboratory: Laboratory, target: str) -> Arm:
    """A training that ends between the two learning times of the theory."""
    covariance, coefficient = features()
    times = [learning_time(v, c, LAYERS, target, SCALE) for v, c in zip(covariance, coefficient, strict=True)]
    steps = fmean(times) / (RATE[target] / 2)  # the rate falls along a cosine: half of it on average
    settings = {"layers": LAYERS, "scale": SCALE, "target": target}
    return Arm(
        NAMES[target],
        "jepa_linear_dynamics",
        settings,
        round(steps * BATCH / laboratory.count, 3),
        RATE[target],
        BATCH,
        0.0,
    )


def features() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Covariances and coefficients of the trained arms' data."""
    from unmask.data.equations import Static

    moments = Static(SIGNAL, NOISE).moments()
    return moments.both, moments.coefficients


def learned(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    """How much of the clean and of the noisy feature is learned, and what the equations say of this moment."""
    loaded = load(laboratory.trained(arm, seed))
    plan, target, method = loaded.config.plan, arm.settings["target"], cast(JepaLinearDynamics, loaded.method)
    covariance, coefficient = (torch.tensor(values) for values in features())
    passed = torch.tensor([plan["steps"] * plan["lr"] / 2])
    end = final_weight(coefficient, LAYERS, target) ** LAYERS
    weights = evolve(covariance, coefficient, LAYERS, target, SCALE, passed, steps=2000)[0] ** LAYERS
    shares, theory = method.strengths() / end, weights / end
    return {
        "clean": float(shares[0]),
        "noisy": float(shares[1]),
        "clean by the theory": float(theory[0]),
        "noisy by the theory": float(theory[1]),
    }


def _times(times: dict[str, list[list[float]]], theory: dict[str, list[float]]) -> list[Claim]:
    """That the equations hold, that JEPA's times depend on the coefficient and MAE's do not."""
    claims = []
    for name, rows in times.items():
        worst = summary([max(abs(a / b - 1) for a, b in zip(row, theory[name], strict=True)) for row in rows])
        claims.append(
            Claim(f"{name}: learning times are the theory's within {CLOSE:.0%}", worst["mean"] < CLOSE, worst)
        )
    for layers in STARTS:
        slower = {name: [row[0] / row[-1] for row in times[f"{name}, {layers} layers"]] for name in NAMES.values()}
        gap = summary([a - b for a, b in zip(slower["jepa"], slower["mae"], strict=True)])
        words = (
            f"{layers} layers: a coefficient of {COEFFICIENTS[0]} delays JEPA by more than MAE, as shares of the time"
        )
        claims.append(Claim(words, clear(gap), gap))
    return claims


def _orders(numbers: dict[str, list[dict[str, float]]]) -> list[Claim]:
    """Which feature came first in training on samples."""
    jepa = summary([row["clean"] - row["noisy"] for row in numbers["jepa"]])
    mae = summary([row["noisy"] - row["clean"] for row in numbers["mae"]])
    return [
        Claim("samples: JEPA learns the clean feature before the noisy one", clear(jepa), jepa),
        Claim("samples: MAE learns the noisy feature of larger covariance first", clear(mae), mae),
    ]


def draw(times: dict[str, list[list[float]]], theory: dict[str, list[float]], path: Path) -> None:
    """Learning time against coefficient, as a share of that at 1: dots simulated, lines by the theory."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), dpi=100, layout="constrained")
    axes = figure.subplots(1, len(STARTS), sharey=True, squeeze=False)[0]
    for axis, layers in zip(axes, STARTS, strict=True):
        for name, colour in (("jepa", "#d9662b"), ("mae", "#1c1f24")):
            key = f"{name}, {layers} layers"
            axis.plot(COEFFICIENTS, [t / theory[key][-1] for t in theory[key]], color=colour, label=name.upper())
            for row in times[key]:
                axis.plot(COEFFICIENTS, [t / theory[key][-1] for t in row], "o", color=colour, markersize=3)
        axis.set_title(f"{layers} layer{'s' if layers > 1 else ''}", fontsize=9)
        axis.set_xlabel("regression coefficient", fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0].set_ylabel("learning time, of that at 1", fontsize=8)
    axes[0].legend(fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
