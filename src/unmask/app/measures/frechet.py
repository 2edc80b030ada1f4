"""How far the pictures that a run invents, or gives back, are from real ones, in the features of another run."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unmask.app.catalogue import complete
from unmask.app.generating import BATCH, samples
from unmask.app.looking import batches_of, batches_to_measure, pictures_of
from unmask.app.measure import Asked, Measured
from unmask.app.runs import Loaded, load
from unmask.app.training import divide
from unmask.app.watching import spread
from unmask.core import Batch, to_device
from unmask.data.card import DataCard
from unmask.data.source import Source
from unmask.data.views import sides
from unmask.evaluate.features import frozen, represent
from unmask.evaluate.frechet import frechet_distance

MADE, GIVEN_BACK, TRAINING = "new pictures", "pictures given back", "training pictures"


def measure(loaded: Loaded, asked: Asked, *, features: str = "") -> Measured:
    """Frechet distances from the test part, each set as large as the test part.

    features: folder of a run whose pooled features are compared; the numbers mean nothing without its name. Beside new
    pictures, and those that a run with codes gives back, the distance of training pictures: real ones are no nearer.
    Named data without a part to train on have none.
    """
    method: Any = loaded.method.to(asked.device)
    if not hasattr(method, "sample") or not isinstance(loaded.card, DataCard):
        raise ValueError(f"{loaded.config.method} makes no new pictures; frechet needs a method that samples")
    if not features:
        raise ValueError("frechet needs a network whose features are compared; name its run, --set features=RUN")
    judge = _judge(loaded, features)
    test = batches_to_measure(loaded, asked.data, asked.limit)
    real = seen_by(judge, loaded.card, (batch["image"] for batch in test), asked.device)
    sets = {MADE: samples(method, len(real), asked.seed).split(BATCH)}
    if hasattr(method, "reconstruct"):
        with frozen(method):
            sets[GIVEN_BACK] = tuple(method.reconstruct(to_device(batch, asked.device)).cpu() for batch in test)
    if (training := training_part(loaded, asked.data)) is not None:
        sets[TRAINING] = tuple(batch["image"] for batch in batches_of(loaded, spread(training, len(real))))
    distances = {
        name: frechet_distance(seen_by(judge, loaded.card, images, asked.device), real) for name, images in sets.items()
    }
    name = f"{judge.config.method} of {Path(features).resolve().name}, {real.shape[1]} numbers"
    size = "x".join(map(str, judge_size(judge)))
    lines = [f"Frechet distance from {len(real):,} test pictures, in the features of {name}, at {size} pixels"]
    lines += [f"  {name:<20} {distance:>10.3f}" for name, distance in distances.items()]
    found = {"pictures": len(real), "features": name, "distances": distances}
    return Measured(found, "\n".join(lines), test.faults)


def training_part(loaded: Loaded, data: str | Path | None) -> Source | None:
    """What the run trained on, or the part of the named data that is for training, if it has one."""
    source, where = pictures_of(loaded, data), loaded.config.data
    if data is None:
        return divide(source, where["split"], where["limit"])[0]
    splits = source.splits()
    return source.subset(splits["train"]) if "train" in splits else None


def _judge(loaded: Loaded, run: str) -> Loaded:
    """The run whose features are compared. Raises ValueError where it does not see pictures of the same channels."""
    judge = load(run)
    if not isinstance(judge.card, DataCard) or len(judge.card.channels) != len(loaded.card.channels):
        raise ValueError(
            f"{run} was trained on {', '.join(judge.card.channels)}, not on pictures of {len(loaded.card.channels)}"
            f" channel(s) ({', '.join(loaded.card.channels)}); name another run"
        )
    return judge


def judge_size(judge: Loaded) -> tuple[int, int]:
    """Height and width of the pictures that the run sees."""
    return sides(complete(judge.config.method, judge.config.settings)["image_size"])


@torch.no_grad()
def seen_by(
    judge: Loaded, card: DataCard, images: Iterable[Float[Tensor, "b c h w"]], device: torch.device
) -> Float[Tensor, "n d"]:
    """Pooled features of standardised pictures, brought into the judge's statistics and size.

    Values are kept within the range of the data, as files would keep them.
    """
    method, size = judge.method.to(device), judge_size(judge)
    low, high = (torch.tensor(values).view(-1, 1, 1) for values in (card.minimum, card.maximum))
    rows = []
    with frozen(method):
        for image in images:
            values = card.restore(image.cpu().float()).clamp(low, high)
            if values.shape[-2:] != size:
                values = F.interpolate(values, size, mode="bilinear", antialias=True)
            batch: Batch = {"image": judge.card.scaled(values)}
            rows.append(represent(method, batch, device).pooled.float().cpu())
    return torch.cat(rows)
