"""Groups of bands, hidden independently, learn more of a place than all bands in one patch; dates tell series apart.

Arms on one place of Sentinel-2 at five dates: groups hidden independently; the same places hidden in all groups; all
bands in one patch; the first untrained. Measured: accuracy of a linear probe that tells the land cover of small places,
16 tokens a window, from features averaged over groups and clear dates, beside raw bands; the mean over random divisions
of the windows, a third to learn from and half to be asked about. Arms on series of single pixels of MODIS, if the file
lies beside the first: all twelve dates as tokens; the same without codes of dates; untrained. Measured: kNN and linear
accuracy over classes.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from unmask.app.looking import batches_of, pictures_of
from unmask.app.runs import Loaded, load
from unmask.evaluate.features import represent
from unmask.evaluate.linear import linear_accuracy
from unmask.parts.ops.patches import patchify
from unmask.proofs.experiment import Arm, Claim, Findings, Laboratory, clear, comparisons, difference, summary
from unmask.proofs.presets import Preset
from unmask.train.engine import choose_device

DATA = ("sentinel2_patch.npz",)
SERIES = "satellite_series_modis.npz::mt_x"
CLEAR = (0, 3, 4)  # dates of the scene without clouds
DIVISIONS = 6  # of the scene's windows into those to learn from, to choose by and to be asked about
SMALL = 20_000  # training samples up to which a preset counts as small
EPOCHS = {True: (100, 40), False: (2000, 400)}  # of the scene, and of the series
NOTE = (
    "One scene of 100x100 pixels, three quarters of one class, cannot tell the arms apart: a probe of raw bands does"
    " better than any network, trained or not. Scenes with more than spectra to tell, such as EuroSAT's, can be asked."
)
RATE, BATCH = 4e-3, 32  # the first per 256 samples
NETWORK: dict[str, Any] = {"model": "64x4x4", "decoder_width": 32, "decoder_depth": 1, "decoder_heads": 2}
SCENE: dict[str, Any] = {**NETWORK, "image_size": 16, "patch_size": 4, "groups": "1,2,3,7/4,5,6,8/11,12"}
STACKED = "1,2,3,7,4,5,6,8,11,12"
PIXELS: dict[str, Any] = {**NETWORK, "image_size": 1, "patch_size": 1, "dates": 12}


def arms_of(preset: Preset) -> tuple[list[Arm], list[Arm]]:
    """Of the scene: groups, shared places, all in one, untrained; and of the series: dates, without, untrained."""
    scene, series = EPOCHS[preset.limit <= SMALL]
    groups = Arm("groups", "satmae", SCENE, scene, RATE, BATCH, scene * 0.1)
    dates = Arm("dates", "satmae", PIXELS, series, RATE, BATCH, series * 0.1)
    return [
        groups,
        replace(groups, name="same places", settings={**SCENE, "shared": "place"}),
        replace(groups, name="one group", settings={**SCENE, "groups": STACKED}),
        replace(groups, name="untrained", epochs=0),
    ], [
        dates,
        replace(dates, name="without dates", settings={**PIXELS, "time_width": 0, "decoder_time_width": 0}),
        replace(dates, name="series, untrained", epochs=0),
    ]


def prove(laboratory: Laboratory, preset: Preset, seeds: Sequence[int]) -> Findings:
    scene, series = arms_of(preset)
    laboratory.train(scene, seeds, "cover")
    numbers = {
        arm.name: [laboratory.noted(arm, seed, "cover", partial(cover, laboratory, arm, seed)) for seed in seeds]
        for arm in scene
    }
    claims = []
    for arm in scene[1:]:
        gain = difference(numbers, "groups", arm.name, "land cover")
        claims.append(Claim(f"land cover: groups hidden independently above {arm.name}", clear(gain), gain))
    gain = summary([row["land cover"] - row["raw bands"] for row in numbers["groups"]])
    claims.append(Claim("land cover: groups hidden independently above raw bands", clear(gain), gain))
    place = laboratory.data.parent / SERIES
    if not Path(str(place).partition("::")[0]).exists():
        return Findings(
            scene, seeds, numbers, claims, [f"{SERIES} is not beside {laboratory.data.name}; dates not tried"]
        )
    pixels = replace(laboratory, data=place, pixels=False).run(series, seeds)
    pairs = [("dates", arm.name, f"dates as tokens above {arm.name}") for arm in series[1:]]
    claims += comparisons(pixels, ("knn", "linear"), pairs)
    return Findings([*scene, *series], seeds, {**numbers, **pixels}, claims, [NOTE])


def cover(laboratory: Laboratory, arm: Arm, seed: int) -> dict[str, float]:
    """Accuracy in windows not learned from, of the arm's tokens and of raw bands in the same small places."""
    loaded = load(laboratory.trained(arm, seed))
    features, raw, labels, window = small_places(loaded, laboratory.data, choose_device(laboratory.device))
    found: dict[str, list[float]] = {"land cover": [], "raw bands": []}
    for division in range(DIVISIONS):
        train, held, test = divided_windows(window, division)
        for name, x in (("land cover", features), ("raw bands", raw)):
            score = linear_accuracy(x[train], labels[train], x[held], labels[held], x[test], labels[test])
            found[name].append(score)
    numbers = {name: fmean(scores) for name, scores in found.items()}
    laboratory.say(f"{arm.name}, seed {seed}: " + ", ".join(f"{name} {value:.3f}" for name, value in numbers.items()))
    return numbers


def divided_windows(window: Int64[Tensor, "n"], seed: int) -> list[Bool[Tensor, "n"]]:
    """Which places lie in a random third of the windows, in a sixth, and in the other half."""
    order = torch.randperm(int(window.max()) + 1, generator=torch.Generator().manual_seed(seed))
    third, half = len(order) // 3, len(order) // 2
    return [torch.isin(window, part) for part in (order[:third], order[third:half], order[half:])]


def small_places(
    loaded: Loaded, data: Path, device: torch.device
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n k"], Int64[Tensor, "n"], Int64[Tensor, "n"]]:
    """Of every token's place: features and raw bands averaged over clear dates, cover, and number of its window."""
    source, patch = pictures_of(loaded, data), cast(Any, loaded.method).encoder.patch_size
    tokens: dict[tuple[int, ...], list[Tensor]] = {}
    pixels: dict[tuple[int, ...], list[Tensor]] = {}
    loaded.method.to(device)
    for batch in batches_of(loaded, source):
        found = represent(loaded.method, batch, device)
        means = cast(Tensor, found.tokens).unflatten(1, (found.grid[1], -1)).mean(1).float().cpu()
        raw = patchify(batch["raster"][:, 0], patch)
        for row, index in enumerate(batch["index"].tolist()):
            window = source.read(index)
            if int(window.dates[0].name.rpartition("@")[2]) in CLEAR:
                tokens.setdefault(window.box, []).append(means[row])
                pixels.setdefault(window.box, []).append(raw[row])
    boxes = sorted(tokens)
    covers = [commonest(np.load(data)["land_cover"], box, patch) for box in boxes]
    numbers = torch.cat([torch.full((len(cover),), number) for number, cover in enumerate(covers)])
    features, raw = (torch.cat([torch.stack(x[box]).mean(0) for box in boxes]) for x in (tokens, pixels))
    _, labels = torch.cat(covers).unique(return_inverse=True)
    return features, raw, labels, numbers


def commonest(cover: np.ndarray, box: tuple[int, ...], patch: int) -> Int64[Tensor, "n"]:
    """The commonest land cover of every patch of a window."""
    top, left, height, width = box
    part = torch.from_numpy(cover[top : top + height, left : left + width].astype(np.float32))
    return patchify(part[None, None], patch)[0].mode(-1).values.long()
