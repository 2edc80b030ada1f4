"""The scales at which image systems are compared, and the baselines that their proofs share."""

from dataclasses import dataclass, field, replace
from typing import Any

from unmask.proofs.experiment import Arm


@dataclass(frozen=True)
class Preset:
    """Data, network and recipe of a comparison on small photographs.

    limit: training pictures. test: pictures of each part for kNN and linear probes. many: share of the epochs that
    a comparison of many arms is given. members: what a family of many systems is compared with instead.
    thorough: whether arms are trained that no claim needs.
    """

    data: str
    limit: int
    test: int
    settings: dict[str, Any]
    epochs: float
    lr: float
    batch: int
    warmup: float
    many: float = 1.0
    members: dict[str, Any] = field(default_factory=dict)
    thorough: bool = True

    def arm(self, name: str, method: str, longer: float = 1.0, **settings: Any) -> Arm:
        """An arm at this scale; `longer` multiplies the epochs."""
        return Arm(name, method, {**self.settings, **settings}, self.epochs * longer, self.lr, self.batch, self.warmup)

    def shorter(self) -> "Preset":
        """This scale for a comparison of many arms: that share of the epochs."""
        return replace(self, epochs=self.epochs * self.many, warmup=self.warmup * self.many)

    def family(self) -> "Preset":
        """This scale for the systems of one family, which share their baselines."""
        return replace(self, **self.members)

    def untrained(self) -> Arm:
        return replace(self.arm("untrained", "mae"), epochs=0)


NETWORK: dict[str, Any] = {
    "model": "128x6x4",
    "patch_size": 4,
    "image_size": 32,
    "decoder_width": 64,
    "decoder_depth": 2,
    "decoder_heads": 4,
}

PRESETS = {
    "small": Preset(
        data="cifar10.tar",
        limit=20_000,
        test=10_000,
        settings=NETWORK,
        epochs=48,
        lr=4e-3,
        batch=64,
        warmup=1,
        many=1 / 6,
        members={
            "epochs": 3,
            "thorough": False,
            "test": 5_000,
            "warmup": 0.5,
            "settings": {**NETWORK, "model": "128x4x4", "decoder_depth": 1, "decoder_heads": 2},
        },
    ),
    "full": Preset(
        data="cifar10.tar",
        limit=50_000,
        test=50_000,
        settings={
            "model": "192x12x3",
            "patch_size": 4,
            "image_size": 32,
            "decoder_width": 128,
            "decoder_depth": 2,
            "decoder_heads": 4,
        },
        epochs=200,
        lr=6e-4,
        batch=512,
        warmup=10,
    ),
}


def preset(name: str, family: bool = False) -> Preset:
    """family: for a proof that says FAMILY."""
    if name not in PRESETS:
        raise ValueError(f"preset {name!r} is unknown; choose one of {', '.join(PRESETS)}")
    return PRESETS[name].family() if family else PRESETS[name]
