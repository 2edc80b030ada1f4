"""Sparse convolutions and all stages: with both, masked pretraining of a convnet pays off when labels are few.

Arms: SparK; the same with dense convolutions over pictures whose hidden cells are 0; the same decoded from the last
stage alone; the same network untrained. Measured: accuracy after fine-tuning on a few labels of every class, which for
the untrained network is training from scratch, and kNN and linear accuracy as in MAE's proof. Besides, how far visible
pixels reach into hidden cells at every stage, with sparse and with dense convolutions.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from unmask.app.catalogue import create
from unmask.core import Context
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, difference, summary
from unmask.proofs.few_labels import add_few_labels
from unmask.proofs.presets import Preset

NOTE = (
    "In a network of three stages on 32 pixels dense convolutions over zero-filled pictures do as well, with few labels"
    " better by one point. Even at its last stage visible pixels reach three quarters of the positions, not all: the"
    " pattern of the mask has faded, not vanished. The paper compares deep networks trained on ImageNet."
)
NETWORKS = {  # by the preset's picture budget: network, side of the pictures, of the cells, width of the decoder
    True: {"model": "resnet:32-64-128/1-1-1", "image_size": 32, "cell_size": 8, "decoder_width": 64},
    False: {"model": "resnet18", "image_size": 64, "cell_size": 16, "decoder_width": 256},
}
SMALL = 20_000  # training pictures up to which a preset counts as small
RATE = 2e-2  # per 256 samples: LAMB moves a tensor by this share of its length, so that small batches need more
SHORTER = {True: 1 / 12, False: 1.0}  # of the preset's epochs
PROBED = 5000  # pictures of each part, at most
SAMPLES = 64  # pictures on which the reach of visible pixels is looked at
PROBES = ("few labels", "knn", "linear")


def arms_of(preset: Preset) -> list[Arm]:
    """Sparse, dense, single-scale and untrained, in this order."""
    small = preset.limit <= SMALL
    preset = replace(preset, lr=RATE, settings=NETWORKS[small], epochs=preset.epochs * SHORTER[small])
    sparse = preset.arm("sparse", "spark")
    dense, single = (
        preset.arm(name, "spark", **change)
        for name, change in (("dense", {"sparse": False}), ("single scale", {"decoder_stages": 1}))
    )
    return [sparse, dense, single, replace(sparse, name="untrained", epochs=0)]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    arms = arms_of(preset)
    laboratory = replace(laboratory, pixels=False, test=min(laboratory.test, PROBED))
    numbers = laboratory.run(arms, seeds)
    add_few_labels(laboratory, arms, seeds, numbers)
    claims = []
    for probe in PROBES:
        for other, words in (
            ("untrained", "training from scratch" if probe == "few labels" else "the untrained encoder"),
            ("dense", "dense convolutions over zero-filled pictures"),
            ("single scale", "decoding the last stage alone"),
        ):
            gain = difference(numbers, "sparse", other, probe)
            claims.append(Claim(f"{probe}: SparK above {words}", clear(gain), gain))
    reach = {
        kind: reached(arms[0], kind == "sparse", min(laboratory.test, SAMPLES), laboratory)
        for kind in ("sparse", "dense")
    }
    growth = summary([max(reach["sparse"]) - reach["sparse"][0], reach["dense"][-1] - reach["dense"][0]])
    kept = max(reach["sparse"]) == min(reach["sparse"]) < reach["dense"][-1]
    claims.append(Claim("the pattern of the mask fades with dense convolutions only", kept, growth))
    return Findings(arms, seeds, numbers, claims, [NOTE], extra={"share of positions reached by stage": reach})


@torch.no_grad()
def reached(arm: Arm, sparse: bool, samples: int, laboratory: Laboratory) -> list[float]:
    """Share of the positions of every stage that change with the visible pixels, in the untrained network."""
    torch.manual_seed(0)
    method: Any = create("spark", **arm.settings).eval()
    size = arm.settings["image_size"]
    image = torch.randn(samples, method.encoder.channels, size, size)
    context = Context(generator=torch.Generator().manual_seed(0))
    active = method.encoder.active(image, method.sampler(method, {"image": image}, context))
    seen = image * active.pixels.unsqueeze(1)
    pairs = (method.encoder(x, active if sparse else None) for x in (seen, torch.zeros_like(seen)))
    return [float((one - other).abs().sum(1).ne(0).float().mean()) for one, other in zip(*pairs, strict=True)]
