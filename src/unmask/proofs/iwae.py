"""More weighted samples make pictures more likely and use more units of the code; more averaged ones do not.

Arms: the VAE (one sample), the VAE with the mean of 50 log weights, IWAE with 5 and with 50 samples; the same network,
as many steps. Measured on the test part, for all by the same bound with many samples: nats per picture, and on the
training part the active units. The small grey digits of scikit-learn, or with --data binary silhouettes; grey values
are drawn binary.
"""

from collections.abc import Sequence

import torch

from unmask.app.looking import batches_of, pictures_of
from unmask.app.measuring import divided
from unmask.app.runs import load
from unmask.evaluate.codes import active_units
from unmask.evaluate.likelihood import likelihood
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference
from unmask.proofs.presets import Preset

DATA = ("digits",)
RATE, BATCH = 1.28e-2, 20  # the paper's 1e-3 at batches of 20
LONGER = 2  # the preset's epochs are those of photographs, of which there are many more
SAMPLES = 1000  # for the likelihood of every arm
NETWORK = {"latent": 50, "hidden": 200}
NAMES = {"vae": (1, "average"), "vae, 50 averaged": (50, "average"), "iwae, 5": (5, "importance")}
NAMES |= {"iwae, 50": (50, "importance")}
NEAR = 0.5  # nats: averaging samples may move the VAE by this much, weighting them must move it further


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = [
        Arm(name, "iwae", {**NETWORK, "samples": k, "bound": bound}, preset.epochs * LONGER, RATE, BATCH, 0)
        for name, (k, bound) in NAMES.items()
    ]
    laboratory.train(arms, seeds, "likelihood")
    numbers = {arm.name: [measured(laboratory, arm, seed) for seed in seeds] for arm in arms}
    claims = []
    for first, second in (("iwae, 5", "vae"), ("iwae, 50", "iwae, 5"), ("iwae, 50", "vae, 50 averaged")):
        for number, words in (("nats", "more likely"), ("active units", "more units of the code in use")):
            gain = difference(numbers, first, second, number)
            claims.append(Claim(f"{words}: {first} above {second}", clear(gain), gain))
    moved = difference(numbers, "vae, 50 averaged", "vae", "nats")
    claims.append(Claim(f"averaging samples moves the VAE by less than {NEAR} nats", abs(moved["mean"]) < NEAR, moved))
    return Findings(arms, seeds, numbers, claims, ["pixels are drawn binary from their grey values"])


def measured(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    """Nats per test picture and active units of the finished arm."""
    return laboratory.noted(arm, seed, "likelihood", lambda: _measure(laboratory, arm, seed))


@torch.no_grad()
def _measure(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    loaded = load(laboratory.trained(arm, seed))
    parts = divided(pictures_of(loaded, laboratory.data), None, laboratory.test)
    generator = torch.Generator().manual_seed(seed)
    test, train = batches_of(loaded, parts["test"]), batches_of(loaded, parts["train"])
    found = likelihood(loaded.method, test, SAMPLES, generator)
    means = [loaded.method.posterior_means(batch, generator) for batch in train]  # type: ignore[operator]
    units = sum(active_units(torch.cat(layer)) for layer in zip(*means, strict=True))
    return {"nats": found["log_likelihood"], "bits per dimension": found["bits_per_dim"], "active units": float(units)}
